/* Lines of text to the runner.
 *
 * A line ends with CR LF. What came from the other side is sent back only as printable ASCII.
 */
#ifndef MBN_TEXT_H
#define MBN_TEXT_H

#include <stdint.h>

void mbn_text(const char *text);

/* The end of a line, and text that ends one. */
void mbn_text_end(void);
void mbn_text_line(const char *text);

void mbn_text_unsigned(uint32_t value);

/* Two hexadecimal digits, small letters. */
void mbn_text_hex(uint8_t value);

/* A character that was received; '?' where it can't be printed. */
void mbn_text_character(char c);

/* A number of thousandths as a decimal: 23 is 0.023. */
void mbn_text_thousandths(int64_t value);

#endif
