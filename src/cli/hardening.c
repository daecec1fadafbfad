#include "cli/hardening.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/landlock.h"
#include "base/sanitizer.h"
#include "base/syscalls.h"
#include "cli/output.h"

/* ---- the image ---- */

struct image {
    bool is_pie;
    bool has_relro;
    bool binds_now;
    bool stack_is_plain; /* not executable */
    bool has_stack_protector;
    bool has_fortify;
};

static void look_at_symbols(struct image *image, const char *names, size_t len)
{
    for (const char *at = names; at < names + len; at += strlen(at) + 1) {
        size_t name_len = strlen(at);
        image->has_stack_protector |= strcmp(at, "__stack_chk_fail") == 0;
        image->has_fortify |= name_len > 4 && strcmp(at + name_len - 4, "_chk") == 0 && at[0] == '_';
    }
}

static void look_at_dynamic(struct image *image, const ElfW(Dyn) * entry)
{
    const char *names = NULL;
    size_t len = 0;
    for (; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_FLAGS)
            image->binds_now |= (entry->d_un.d_val & DF_BIND_NOW) != 0;
        if (entry->d_tag == DT_FLAGS_1) {
            image->binds_now |= (entry->d_un.d_val & DF_1_NOW) != 0;
            image->is_pie |= (entry->d_un.d_val & DF_1_PIE) != 0;
        }
        if (entry->d_tag == DT_STRTAB)
            names = (const char *)entry->d_un.d_ptr; /* glibc has made it an address */
        if (entry->d_tag == DT_STRSZ)
            len = entry->d_un.d_val;
    }
    if (names)
        look_at_symbols(image, names, len);
}

static int on_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct image *image = ctx;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_GNU_RELRO)
            image->has_relro = true;
        if (part->p_type == PT_GNU_STACK)
            image->stack_is_plain = (part->p_flags & PF_X) == 0;
        if (part->p_type == PT_DYNAMIC)
            look_at_dynamic(image, (const ElfW(Dyn) *)(info->dlpi_addr + part->p_vaddr));
    }
    return 1; /* the first one is the program */
}

/* ---- what is told ---- */

struct finding {
    const char *name;
    const char *label;
    bool holds;
};

enum { FINDING_COUNT = 9 };

static void find_out(struct finding ret[FINDING_COUNT])
{
    struct image image = {.is_pie = false};
    bool has_sandbox = !HAS_SANITIZER;
    dl_iterate_phdr(on_object, &image);
    const struct finding found[FINDING_COUNT] = {
        {"pie", "position independent", image.is_pie},
        {"relro", "tables read-only", image.has_relro},
        {"bind_now", "bound at start", image.binds_now},
        {"no_exec_stack", "stack not executable", image.stack_is_plain},
        {"stack_protector", "stack protector", image.has_stack_protector},
        {"fortify", "fortified libc calls", image.has_fortify},
        {"landlock", "files limited (Landlock)", has_sandbox && landlock_abi() > 0},
        {"landlock_network", "ports limited (Landlock)", has_sandbox && landlock_has_network(landlock_abi())},
        {"seccomp", "system calls limited", syscalls_filter_is_known() && syscalls_filter_is_there()},
    };
    memcpy(ret, found, sizeof(found));
}

json_t *hardening_json(void)
{
    struct finding found[FINDING_COUNT];
    json_t *object = json_object();
    find_out(found);
    for (size_t i = 0; i < FINDING_COUNT; i++)
        json_object_set_new(object, found[i].name, json_boolean(found[i].holds));
    json_object_set_new(object, "landlock_abi", json_integer(landlock_abi()));
    return object;
}

void hardening_tell(void)
{
    struct finding found[FINDING_COUNT];
    find_out(found);
    for (size_t i = 0; i < FINDING_COUNT; i++)
        out_line("%-26s %s", found[i].label, found[i].holds ? "yes" : "no");
}
