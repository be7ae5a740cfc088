/* Splits the line's bytes into commands, and commands into words.
 *
 * A command of more than 80 characters is skipped to its end and reported once.
 */
#ifndef MBN_COMMANDS_H
#define MBN_COMMANDS_H

#include <stdint.h>

typedef enum mbn_command_state {
    MBN_COMMAND_NONE = 0, /* more is to come */
    MBN_COMMAND_WHOLE,    /* its words wait for mbn_commands_next */
    MBN_COMMAND_LONG      /* it was too long */
} mbn_command_state;

mbn_command_state mbn_commands_take(uint8_t byte);

/* The next word of the whole command, or null. Valid until the next byte is taken. */
const char *mbn_commands_next(void);

/* A decimal number with an optional sign, as atoi reads it: digits up to the first other
 * character, 0 where there are none; held at the ends of int32. */
int32_t mbn_commands_number(const char *word);

/* The value of two hexadecimal digits, or -1. */
int mbn_commands_hex(const char *digits);

#endif
