/* COBS frames with CRC-32; see frame.h. */
#include "frame.h"

#include "mbn/port.h"

#include <string.h>

#define CRC_BYTES 4u
#define BLOCK_FULL 254u

/* Reflected polynomial 0xEDB88320, four bits at a time: 64 bytes of table instead of 1 KB. */
uint32_t mbn_crc32(uint32_t crc, const uint8_t *data, size_t size_bytes)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    crc = ~crc;
    for (size_t k = 0; k < size_bytes; k++) {
        crc ^= data[k];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

static void reader_restart(mbn_frame_reader *reader)
{
    reader->size = 0;
    reader->block = 0;
    reader->left = 0;
    reader->too_long = false;
}

void mbn_frame_reader_init(mbn_frame_reader *reader, uint8_t *data, size_t capacity)
{
    reader->data = data;
    reader->capacity = capacity;
    reader_restart(reader);
}

static void reader_append(mbn_frame_reader *reader, uint8_t byte)
{
    if (reader->size < reader->capacity) {
        reader->data[reader->size++] = byte;
    } else {
        reader->too_long = true;
    }
}

static mbn_frame_event reader_close(mbn_frame_reader *reader)
{
    mbn_frame_event event = MBN_FRAME_DAMAGED;
    size_t size = reader->size;
    if (reader->block == 0u) {
        return MBN_FRAME_NONE; /* a zero between frames */
    }
    if (reader->too_long) {
        event = MBN_FRAME_TOO_LONG;
    } else if (reader->left == 0u && size >= CRC_BYTES) {
        const uint8_t *tail = reader->data + size - CRC_BYTES;
        uint32_t wanted = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 |
                          (uint32_t)tail[3] << 24;
        if (mbn_crc32(MBN_CRC32_START, reader->data, size - CRC_BYTES) == wanted) {
            event = MBN_FRAME_COMPLETE;
        }
    }
    reader_restart(reader);
    if (event == MBN_FRAME_COMPLETE) {
        reader->size = size - CRC_BYTES;
    }
    return event;
}

mbn_frame_event mbn_frame_take(mbn_frame_reader *reader, uint8_t byte)
{
    if (byte == 0u) {
        return reader_close(reader);
    }
    if (reader->block == 0u) {
        reader->size = 0; /* the size of the frame before was still to be read */
    }
    if (reader->left > 0u) {
        reader->left--;
        reader_append(reader, byte);
        return MBN_FRAME_NONE;
    }
    if (reader->block != 0u && reader->block != 0xFFu) {
        reader_append(reader, 0u);
    }
    reader->block = byte;
    reader->left = (uint8_t)(byte - 1u);
    return MBN_FRAME_NONE;
}

static void writer_flush(mbn_frame_writer *writer)
{
    writer->block[0] = (uint8_t)(writer->fill + 1u);
    mbn_port_write(writer->block, (size_t)writer->fill + 1u);
    writer->fill = 0;
}

static void writer_stuff(mbn_frame_writer *writer, const uint8_t *data, size_t size_bytes)
{
    for (size_t k = 0; k < size_bytes; k++) {
        if (data[k] == 0u) {
            writer_flush(writer);
            continue;
        }
        writer->block[++writer->fill] = data[k];
        if (writer->fill == BLOCK_FULL) {
            writer_flush(writer);
        }
    }
}

void mbn_frame_begin(mbn_frame_writer *writer)
{
    writer->crc = MBN_CRC32_START;
    writer->fill = 0;
}

void mbn_frame_bytes(mbn_frame_writer *writer, const uint8_t *data, size_t size_bytes)
{
    writer->crc = mbn_crc32(writer->crc, data, size_bytes);
    writer_stuff(writer, data, size_bytes);
}

void mbn_frame_u8(mbn_frame_writer *writer, uint8_t value)
{
    mbn_frame_bytes(writer, &value, 1);
}

void mbn_frame_u16(mbn_frame_writer *writer, uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    mbn_frame_bytes(writer, bytes, sizeof bytes);
}

void mbn_frame_u32(mbn_frame_writer *writer, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                              (uint8_t)(value >> 24)};
    mbn_frame_bytes(writer, bytes, sizeof bytes);
}

void mbn_frame_text(mbn_frame_writer *writer, const char *text)
{
    size_t size = strlen(text);
    size = size > 255u ? 255u : size;
    mbn_frame_u8(writer, (uint8_t)size);
    mbn_frame_bytes(writer, (const uint8_t *)text, size);
}

/* After a full block the last one may be empty; a decoder accepts that. */
void mbn_frame_end(mbn_frame_writer *writer)
{
    static const uint8_t zero = 0;
    const uint32_t crc = writer->crc;
    mbn_frame_u32(writer, crc);
    writer_flush(writer);
    mbn_port_write(&zero, 1);
}
