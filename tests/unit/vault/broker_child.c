/* The broker process of the tests: what `sluice broker` is in the product. */
#include "vault/broker.h"

int main(void)
{
    return broker_main(3);
}
