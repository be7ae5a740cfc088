/* i.MX RT1062: what its boot ROM reads at the start of the serial flash, and the very first
 * instructions.
 *
 * 0x0000 FlexSPI configuration block, 512 bytes: how to read the flash ("FlexSPI Serial NOR Flash
 *        Boot Operation"; the offsets of fields: NXP's fsl_flexspi_nor_config.h)
 * 0x1000 image vector table and boot data ("Image Vector Table and Boot Data")
 * 0x2000 what follows: the vector table
 *
 * The flash of the boards is a Winbond W25Q64JV or alike: quad reads (EBh) at 133 MHz.
 */
#include "chip.h"

#include <stdint.h>

#define CODE_OFFSET 0x2000u
#define CONFIG_TAG 0x42464346u     /* "FCFB" */
#define CONFIG_VERSION 0x56010400u /* 'V', 1.4.0 */
#define SAMPLE_BY_DQS_PAD 1u       /* looped back */
#define SERIAL_NOR 1u
#define PADS_4 4u
#define CLOCK_133_MHZ 8u
#define PAGE_BYTES 256u
#define SECTOR_BYTES 4096u
#define BLOCK_BYTES 65536u
#define IVT_HEADER 0x402000D1u /* tag D1h, 32 bytes (big-endian), version 40h */
#define HOLD_CLOCKS 3u

/* "FlexSPI", look-up table: operation, log2 of its pads, operand */
#define LUT(operation, pads, operand) \
    ((uint32_t)(operation) << 10 | (uint32_t)(pads) << 8 | (uint32_t)(operand))
#define CMD_SDR 1u
#define RADDR_SDR 2u
#define READ_SDR 9u
#define DUMMY_SDR 12u

/* What lies at which offset of the configuration block */
typedef struct boot_block {
    uint32_t tag;     /* 0x00 */
    uint32_t version; /* 0x04 */
    uint32_t reserved0;
    uint8_t sample_source; /* 0x0C */
    uint8_t hold_clocks;
    uint8_t setup_clocks;
    uint8_t column_bits;
    uint32_t modes[13];   /* 0x10: device mode, configuration commands, options: none */
    uint8_t device;       /* 0x44 */
    uint8_t pads;         /* 0x45 */
    uint8_t serial_clock; /* 0x46 */
    uint8_t own_sequences;
    uint32_t reserved1[2];
    uint32_t a1_bytes; /* 0x50 */
    uint32_t others[11];
    uint32_t sequences[64]; /* 0x80 */
    uint32_t reserved2[16]; /* 0x180 */
    uint32_t page_bytes;    /* 0x1C0 */
    uint32_t sector_bytes;
    uint32_t command_clock;
    uint32_t reserved3;
    uint32_t block_bytes; /* 0x1D0 */
    uint32_t reserved4[11];
    uint8_t gap[0x1000u - 0x200u];
    /* 0x1000 */
    uint32_t header;
    void (*entry)(void);
    uint32_t reserved5;
    uint32_t device_data;
    const void *boot_data;
    const void *self;
    uint32_t signature;
    uint32_t reserved6;
    /* 0x1020 */
    uint32_t start;
    uint32_t size_bytes;
    uint32_t plugin;
    uint8_t rest[CODE_OFFSET - 0x102Cu];
} boot_block;

_Static_assert(sizeof(boot_block) == CODE_OFFSET, "the vector table follows");

void mbn_reset(void);
void mbn_imxrt_reset(void);
extern const boot_block mbn_imxrt_boot;

__attribute__((section(".mbn_boot"), used)) const boot_block mbn_imxrt_boot = {
    .tag = CONFIG_TAG,
    .version = CONFIG_VERSION,
    .sample_source = SAMPLE_BY_DQS_PAD,
    .hold_clocks = HOLD_CLOCKS,
    .setup_clocks = HOLD_CLOCKS,
    .device = SERIAL_NOR,
    .pads = PADS_4,
    .serial_clock = CLOCK_133_MHZ,
    .a1_bytes = MBN_FLASH_BYTES,
    /* sequence 0: EBh on one pad, 24 bits of address on four, 6 clocks (2 of them the mode bits),
     * then data */
    .sequences = {LUT(CMD_SDR, 0, 0xEB) | LUT(RADDR_SDR, 2, 24) << 16,
                  LUT(DUMMY_SDR, 2, 6) | LUT(READ_SDR, 2, 4) << 16},
    .page_bytes = PAGE_BYTES,
    .sector_bytes = SECTOR_BYTES,
    .command_clock = 1u,
    .block_bytes = BLOCK_BYTES,
    .header = IVT_HEADER,
    .entry = mbn_imxrt_reset,
    .boot_data = &mbn_imxrt_boot.start,
    .self = &mbn_imxrt_boot.header,
    .start = MBN_FLASH_BASE,
    .size_bytes = MBN_FLASH_BYTES,
};

/* FlexRAM's banks before anything lies in them: four to ITCM, twelve to DTCM ("IOMUXC_GPR_GPR17":
 * two bits a bank, 3 is ITCM, 2 DTCM; "GPR16": by that register, not by fuses; "GPR14": both TCMs'
 * address ranges of 512 KB, the next power of two). Without a stack, therefore. */
__attribute__((naked)) void mbn_imxrt_reset(void)
{
    __asm volatile("ldr r0, =%c0\n"
                   "ldr r1, =0xAAAAAAFF\n"
                   "str r1, [r0]\n"
                   "ldr r0, =%c1\n"
                   "ldr r1, =0x00200007\n"
                   "str r1, [r0]\n"
                   "ldr r0, =%c2\n"
                   "ldr r1, =0x00AA0000\n"
                   "str r1, [r0]\n"
                   "dsb\n"
                   "isb\n"
                   "ldr r0, =mbn_reset\n"
                   "bx r0\n"
                   ".ltorg\n" ::"i"(IOMUXC_GPR_GPR17),
                   "i"(IOMUXC_GPR_GPR16), "i"(IOMUXC_GPR_GPR14));
}
