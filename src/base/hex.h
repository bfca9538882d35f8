/* Bytes as lower-case hexadecimal digits. Pure, and NUL-terminated. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

/* ret has room for 2 * len characters and the NUL. */
void hex_print(const uint8_t *bytes, size_t len, char *ret);

#define HEX_UUID_SIZE 37 /* with the NUL */
/* As the text of a UUID: dashes after the bytes 4, 6, 8 and 10. */
void hex_print_uuid(const uint8_t bytes[16], char ret[HEX_UUID_SIZE]);

#endif
