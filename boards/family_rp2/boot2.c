/* The RP2040's second stage: 256 bytes that the boot ROM copies to RAM and calls, to set the serial
 * flash up for execution in place ("Boot stage 2", RP2040 datasheet).
 *
 * The boot ROM checks the first 252 bytes by the CRC-32 in the last four, which the build writes
 * (compiler/mbn/image/build/boot.py), and jumps here. This code sets the flash to continuous quad
 * reads (EBh) at half of the core's clock and starts the image by its vector table, which follows
 * this block. It is position-independent and uses no stack. Every wait has a limit. The flash's
 * quad-enable bit is set only if it is clear, and only until power-off (50h, 31h: Winbond W25Q16JV
 * and similar parts, as on the Pico).
 *
 * Registers, by title: "PADS_QSPI_BANK registers", "SSI": CTRLR0 at 0, CTRLR1 4, SSIENR 8, BAUDR
 * 0x14, SR 0x28, DR0 0x60, RX_SAMPLE_DLY 0xF0, SPI_CTRLR0 0xF4. r3 is the SSI's base.
 */
__asm(".section .mbn_boot, \"ax\", %progbits\n"
      ".syntax unified\n"
      ".thumb\n"
      ".global mbn_boot2\n"
      ".type mbn_boot2, %function\n"
      "mbn_boot2:\n"
      /* the clock's pad: 8 mA, fast; the data pads: no Schmitt trigger, which delays */
      "    ldr r0, =0x40020000\n"
      "    movs r1, #0x21\n"
      "    str r1, [r0, #4]\n"
      "    ldr r1, [r0, #8]\n"
      "    movs r2, #2\n"
      "    bics r1, r2\n"
      "    str r1, [r0, #8]\n"
      "    str r1, [r0, #12]\n"
      "    str r1, [r0, #16]\n"
      "    str r1, [r0, #20]\n"
      /* off; clock over 2; data sampled one clock later; 8-bit frames both ways; on */
      "    ldr r3, =0x18000000\n"
      "    movs r1, #0\n"
      "    str r1, [r3, #8]\n"
      "    movs r1, #2\n"
      "    str r1, [r3, #0x14]\n"
      "    movs r0, #0xF0\n"
      "    movs r1, #1\n"
      "    str r1, [r3, r0]\n"
      "    ldr r1, =0x00070000\n"
      "    str r1, [r3]\n"
      "    movs r1, #1\n"
      "    str r1, [r3, #8]\n"
      /* 35h reads status register 2; its bit 1 is quad enable */
      "    movs r0, #0x35\n"
      "    str r0, [r3, #0x60]\n"
      "    str r0, [r3, #0x60]\n"
      "    bl 9f\n"
      "    ldr r0, [r3, #0x60]\n"
      "    ldr r0, [r3, #0x60]\n"
      "    movs r1, #2\n"
      "    tst r0, r1\n"
      "    bne 1f\n"
      /* 50h allows a volatile write; 31h writes the register */
      "    movs r2, #0x50\n"
      "    str r2, [r3, #0x60]\n"
      "    bl 9f\n"
      "    ldr r2, [r3, #0x60]\n"
      "    movs r2, #0x31\n"
      "    str r2, [r3, #0x60]\n"
      "    orrs r0, r1\n"
      "    str r0, [r3, #0x60]\n"
      "    bl 9f\n"
      "    ldr r2, [r3, #0x60]\n"
      "    ldr r2, [r3, #0x60]\n"
      /* one EBh read by hand, its mode bits A0h: the next reads need no command. Quad, 32-bit
       * frames, command and address out, data in; 8 bits of command in serial, address and
       * mode (8 x 4 bits) in quad, 4 clocks of rest */
      "1:  movs r1, #0\n"
      "    str r1, [r3, #8]\n"
      "    ldr r1, =0x005F0300\n"
      "    str r1, [r3]\n"
      "    movs r1, #0\n"
      "    str r1, [r3, #4]\n"
      "    movs r0, #0xF4\n"
      "    ldr r1, =0x00002221\n"
      "    str r1, [r3, r0]\n"
      "    movs r1, #1\n"
      "    str r1, [r3, #8]\n"
      "    movs r1, #0xEB\n"
      "    str r1, [r3, #0x60]\n"
      "    movs r1, #0xA0\n"
      "    str r1, [r3, #0x60]\n"
      "    bl 9f\n"
      /* from now on every access of the window: address and mode bits, no command */
      "    movs r1, #0\n"
      "    str r1, [r3, #8]\n"
      "    movs r0, #0xF4\n"
      "    ldr r1, =0xA0002022\n"
      "    str r1, [r3, r0]\n"
      "    movs r1, #1\n"
      "    str r1, [r3, #8]\n"
      /* the vector table behind this block (VTOR, ARMv6-M B3.2.5) */
      "    ldr r0, =0x10000100\n"
      "    ldr r1, =0xE000ED08\n"
      "    str r0, [r1]\n"
      "    ldr r1, [r0]\n"
      "    msr msp, r1\n"
      "    ldr r0, [r0, #4]\n"
      "    bx r0\n"
      /* until all is sent (SR bit 2) and the line rests (bit 0), 65,536 times at most */
      "9:  movs r4, #1\n"
      "    lsls r4, r4, #16\n"
      "8:  subs r4, #1\n"
      "    beq 7f\n"
      "    ldr r5, [r3, #0x28]\n"
      "    movs r6, #5\n"
      "    ands r5, r6\n"
      "    cmp r5, #4\n"
      "    bne 8b\n"
      "7:  bx lr\n"
      "    .align 2\n"
      "    .ltorg\n"
      "    .org 252\n"
      "    .word 0\n"
      ".size mbn_boot2, 256\n"
      ".text\n");
