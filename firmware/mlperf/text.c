/* Lines of text to the runner: see text.h. */
#include "text.h"

#include "mbn/port.h"

#include <string.h>

#define DIGITS_MAX 20u /* of 64 bits */

void mbn_text(const char *text)
{
    mbn_port_write((const uint8_t *)text, strlen(text));
}

void mbn_text_end(void)
{
    mbn_text("\r\n");
}

void mbn_text_line(const char *text)
{
    mbn_text(text);
    mbn_text_end();
}

/* At least `least` digits. */
static void put_digits(uint64_t value, uint32_t least)
{
    uint8_t digits[DIGITS_MAX];
    uint32_t first = DIGITS_MAX;
    while (value != 0u || DIGITS_MAX - first < least) {
        digits[--first] = (uint8_t)('0' + value % 10u);
        value /= 10u;
    }
    mbn_port_write(digits + first, DIGITS_MAX - first);
}

void mbn_text_unsigned(uint32_t value)
{
    put_digits(value, 1u);
}

void mbn_text_hex(uint8_t value)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t text[2] = {(uint8_t)digits[value >> 4], (uint8_t)digits[value & 15u]};
    mbn_port_write(text, sizeof text);
}

void mbn_text_character(char c)
{
    const uint8_t byte = c >= ' ' && c <= '~' ? (uint8_t)c : (uint8_t)'?';
    mbn_port_write(&byte, 1u);
}

void mbn_text_thousandths(int64_t value)
{
    uint64_t size = value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
    if (value < 0) {
        mbn_text("-");
    }
    put_digits(size / 1000u, 1u);
    mbn_text(".");
    put_digits(size % 1000u, 3u);
}
