/* Commands out of bytes: see commands.h. */
#include "commands.h"

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_CHARACTERS 80u
#define COMMAND_END '%'

static char command[COMMAND_CHARACTERS + 1u];
static size_t length;
static bool too_long;
static char *rest; /* of the whole command */

mbn_command_state mbn_commands_take(uint8_t byte)
{
    if (byte == (uint8_t)COMMAND_END) {
        mbn_command_state state = too_long ? MBN_COMMAND_LONG : MBN_COMMAND_WHOLE;
        command[too_long ? 0u : length] = '\0';
        rest = command;
        length = 0;
        too_long = false;
        return state;
    }
    if (byte == (uint8_t)'\r' || byte == (uint8_t)'\n') {
        return MBN_COMMAND_NONE;
    }
    if (length == COMMAND_CHARACTERS) {
        too_long = true;
    } else {
        /* a zero would end the command early, with the rest unseen */
        command[length++] = byte == 0u ? '?' : (char)byte;
    }
    return MBN_COMMAND_NONE;
}

const char *mbn_commands_next(void)
{
    while (*rest == ' ') {
        rest++;
    }
    if (*rest == '\0') {
        return NULL;
    }
    const char *word = rest;
    while (*rest != ' ' && *rest != '\0') {
        rest++;
    }
    if (*rest == ' ') {
        *rest++ = '\0';
    }
    return word;
}

int32_t mbn_commands_number(const char *word)
{
    bool negative = *word == '-';
    int32_t value = 0;
    if (*word == '-' || *word == '+') {
        word++;
    }
    for (; *word >= '0' && *word <= '9'; word++) {
        int32_t digit = *word - '0';
        if (value > (INT32_MAX - digit) / 10) {
            value = INT32_MAX;
            break;
        }
        value = value * 10 + digit;
    }
    return negative ? -value : value;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int mbn_commands_hex(const char *digits)
{
    int high = digit_of(digits[0]), low = digit_of(digits[1]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}
