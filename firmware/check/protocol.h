/* The harness's protocol, version 1: what mbn-check and a board say to each other.
 *
 * A request is a frame (frame.h): type u8, sequence u8, arguments. It gets one answer: type | 0x80,
 * the same sequence, status i8, results. Without a request come trace rows while an inference runs,
 * damage and faults. Numbers are little-endian. If an answer is lost its request may be repeated,
 * which has no side effects. The Python side is compiler/mbn/harness/device/protocol.py.
 */
#ifndef MBN_CHECK_PROTOCOL_H
#define MBN_CHECK_PROTOCOL_H

#define MBN_PROTOCOL_VERSION 1u

enum {
    /* -> version u8, input mode u8, has cycles u8, input and output height, width, channels
     *    6 x u16, stages u16, arena, weights, MACs, request capacity, clock in Hz 5 x u32,
     *    board, core, build id, network, model sha256: 5 texts (length u8, characters) */
    MBN_ASK_IDENTIFY = 0x01,
    /* first stage u16 -> total u16, first u16, then by stage height, width, channels 3 x u16,
     * MACs u32, name: as many as fit */
    MBN_ASK_STAGES = 0x02,
    /* flags u8, traced stage u16 -> nothing. Forgets the image. */
    MBN_ASK_BEGIN = 0x03,
    /* offset u32, bytes of the image in canonical order -> next offset wanted u32. Bytes at another
     * offset than the wanted one are not taken: the answer then says where to go on. */
    MBN_ASK_LOAD = 0x04,
    /* -> cycles of the whole inference u64 (0 without counter), rows pushed included */
    MBN_ASK_INFER = 0x05,
    /* offset u32 -> size u32, offset u32, int8 bytes in canonical order */
    MBN_ASK_OUTPUT = 0x06,
    /* first stage u16 -> total u16, first u16, then by stage CRC-32 of its output map u32,
     * rows u16. Only after BEGIN with MBN_WATCH_CHECKSUMS. */
    MBN_ASK_CHECKSUMS = 0x07,
    /* first stage u16 -> total u16, first u16, then by stage cycles u64, runs u32.
     * Only after BEGIN with MBN_WATCH_CYCLES on a board that has a counter. */
    MBN_ASK_CYCLES = 0x08,
    /* -> stack known u8, stack guard ok u8, arena guards ok u8, stack reserved, stack used,
     *    arena bytes, state bytes (arena and tables) 4 x u32 */
    MBN_ASK_MEMORY = 0x09,
    /* -> nothing; then the board starts anew */
    MBN_ASK_RESET = 0x0A,
    /* -> constants whole u8, start and size of the damaged ones 2 x u32, then mbn_start_info
     * (port.h): why the board started u32, the words of mbn_fault 15 x u32 */
    MBN_ASK_HEALTH = 0x0B,
    /* first box u16 -> total u16, first u16, cycles of decoding and suppressing u32 (0 without
     * counter), then by box label, score, top, left, bottom, right 6 x u16 (mbn/detect.h), best
     * first: as many as fit. Only of a network with a detector, after INFER; of any other it is
     * unknown, as it is to firmware from before there were detectors. */
    MBN_ASK_BOXES = 0x0C,

    MBN_ANSWER = 0x80,

    /* stage u16, row y u16, then the row in canonical order */
    MBN_TELL_TRACE = 0xC1,
    /* reason u8: 1 framing or CRC, 2 longer than the request capacity */
    MBN_TELL_DAMAGE = 0xC2,
    /* the words of mbn_fault (port.h), 15 x u32 */
    MBN_TELL_FAULT = 0xC3,
    /* mbn_start_reason u8 (port.h): the board has started, and knows of no request before this */
    MBN_TELL_START = 0xC4
};

enum {
    MBN_WATCH_CHECKSUMS = 1,
    MBN_WATCH_CYCLES = 2,
    MBN_WATCH_TRACE = 4
};

/* Statuses beyond mbn_status. */
enum {
    MBN_STATUS_UNKNOWN = -64,   /* no such request */
    MBN_STATUS_SHORT = -65,     /* arguments missing or of the wrong size */
    MBN_STATUS_UNWATCHED = -66, /* nothing was recorded: BEGIN did not ask for it */
    MBN_STATUS_DAMAGED = -67    /* weights or other constants are not what was linked */
};

#endif
