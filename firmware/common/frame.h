/* Frames on a serial line: consistent overhead byte stuffing with a CRC-32 inside.
 *
 * A frame is COBS(payload, CRC-32 of the payload, least byte first) and a zero. After any damage
 * the next zero resynchronises. The writer needs no buffer for the whole frame.
 *
 * COBS: Cheshire and Baker, IEEE/ACM Transactions on Networking 7(2), 1999.
 */
#ifndef MBN_FRAME_H
#define MBN_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MBN_CRC32_START 0u

/* CRC-32 as zlib's crc32(): feed the result of one call to the next. */
uint32_t mbn_crc32(uint32_t crc, const uint8_t *data, size_t size_bytes);

typedef enum mbn_frame_event {
    MBN_FRAME_NONE = 0,     /* more bytes are needed */
    MBN_FRAME_COMPLETE = 1, /* data[0 .. size) is a payload whose CRC is right */
    MBN_FRAME_DAMAGED = 2,  /* framing or CRC is wrong */
    MBN_FRAME_TOO_LONG = 3  /* more than capacity bytes came */
} mbn_frame_event;

typedef struct mbn_frame_reader {
    uint8_t *data;
    size_t capacity; /* payload and CRC */
    size_t size;
    uint8_t block; /* the code byte of the block that runs; 0: none yet */
    uint8_t left;  /* bytes of it still to come */
    bool too_long;
} mbn_frame_reader;

void mbn_frame_reader_init(mbn_frame_reader *reader, uint8_t *data, size_t capacity);

/* Takes one byte from the line. After an event other than NONE the next byte starts a new frame. */
mbn_frame_event mbn_frame_take(mbn_frame_reader *reader, uint8_t byte);

typedef struct mbn_frame_writer {
    uint32_t crc;
    uint8_t fill;       /* data bytes in the block */
    uint8_t block[255]; /* code byte, then up to 254 bytes without zeros */
} mbn_frame_writer;

void mbn_frame_begin(mbn_frame_writer *writer);
void mbn_frame_bytes(mbn_frame_writer *writer, const uint8_t *data, size_t size_bytes);
void mbn_frame_u8(mbn_frame_writer *writer, uint8_t value);
void mbn_frame_u16(mbn_frame_writer *writer, uint16_t value);
void mbn_frame_u32(mbn_frame_writer *writer, uint32_t value);
/* One length byte, then the characters; at most 255 of them. */
void mbn_frame_text(mbn_frame_writer *writer, const char *text);
/* Appends the CRC and the closing zero, and sends what is left. */
void mbn_frame_end(mbn_frame_writer *writer);

#endif
