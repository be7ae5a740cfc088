/* Start-up of every Cortex-M: vector table, memory, FPU, guarded stack, faults that survive a
 * reset, cycle counter.
 *
 * After a reset main() is called. After a fault mbn_app_fault is called with the registers, which
 * the next start finds too. The symbols come from cmake/sections.ld. Interrupts are masked, so the
 * only exceptions are faults and a watchdog's warning (NMI). If the core has an MPU, it forbids
 * writes below the stack. In any case an overflow destroys the stack's paint.
 */
#include "cortex_m.h"
#include "mbn/port.h"

/* System control space, ARMv7-M Architecture Reference Manual B3.2.2 (same in v6-M and v8-M). */
#define SCB_ICSR (*(volatile uint32_t *)0xE000ED04u)
#define ICSR_PENDSTCLR (1u << 25)
#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08u)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0Cu)
#define SCB_CCR (*(volatile uint32_t *)0xE000ED14u)
#define SCB_SHCSR (*(volatile uint32_t *)0xE000ED24u)
#define SCB_CFSR (*(volatile uint32_t *)0xE000ED28u)
#define SCB_HFSR (*(volatile uint32_t *)0xE000ED2Cu)
#define SCB_MMFAR (*(volatile uint32_t *)0xE000ED34u)
#define SCB_BFAR (*(volatile uint32_t *)0xE000ED38u)
/* SysTick, ARMv7-M B3.3. */
#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define SYST_CSR_CORE_TICKINT_ENABLE 7u
/* Debug and trace, ARMv7-M C1.6.5 and C1.8.7. */
#define DCB_DEMCR (*(volatile uint32_t *)0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL (*(volatile uint32_t *)0xE0001000u)
#define DWT_CYCCNT (*(volatile uint32_t *)0xE0001004u)
#define DWT_CTRL_CYCCNTENA 1u
/* CoreSight lock access; the Cortex-M7 keeps the DWT locked after power-on (DDI 0489, 12.3). */
#define DWT_LAR (*(volatile uint32_t *)0xE0001FB0u)
#define CORESIGHT_UNLOCK 0xC5ACCE55u

/* Memory protection unit: ARMv7-M B3.5, ARMv8-M (DDI 0553) D1.2.170 ff.; the same CTRL in both. */
#define MPU_TYPE (*(volatile uint32_t *)0xE000ED90u)
#define MPU_CTRL (*(volatile uint32_t *)0xE000ED94u)
#define MPU_RNR (*(volatile uint32_t *)0xE000ED98u)
#define MPU_RBAR (*(volatile uint32_t *)0xE000ED9Cu)
#define MPU_RASR_RLAR (*(volatile uint32_t *)0xE000EDA0u)
#define MPU_TYPE_REGIONS 0x0000FF00u
#define MPU_CTRL_ENABLE_DEFAULT 5u /* everything else as without an MPU; none in HardFault, NMI */
#define MPU_RBAR_READ_ONLY_XN 5u   /* ARMv8-M, privileged; it has no "no access" */
#define MPU_RLAR_ENABLE 1u
/* Caches: data by address to memory, ARMv7-M B3.2.31; CCR.DC says whether it is on. */
#define SCB_DCCMVAC (*(volatile uint32_t *)0xE000EF68u)
#define CCR_DC (1u << 16)
#define CACHE_LINE_BYTES 32u

#define STACK_PAINT 0x7374616Bu /* "stak" */
#define STACK_GUARD_WORDS 4u
#define FAULT_STACK_BYTES 512u
#define EXCEPTION_NMI 2u
#define KEPT_SEED 0x6B657074u /* "kept": all zeros are no record */

#define MAINLINE (__ARM_ARCH_PROFILE == 'M' && __ARM_ARCH_ISA_THUMB >= 2)

extern uint32_t mbn_ld_stack_limit[];
extern uint32_t mbn_ld_stack_top[];
extern uint32_t mbn_ld_hot_load[];
extern uint32_t mbn_ld_hot_start[];
extern uint32_t mbn_ld_hot_end[];
extern uint32_t mbn_ld_data_load[];
extern uint32_t mbn_ld_data_start[];
extern uint32_t mbn_ld_data_end[];
extern uint32_t mbn_ld_bss_start[];
extern uint32_t mbn_ld_bss_end[];
extern uint32_t mbn_ld_guard_start[]; /* where nothing may be written, below the stack */
extern uint32_t mbn_ld_guard_last[];  /* its last 32 bytes */
extern uint32_t mbn_ld_guard_rasr[];  /* the same for ARMv7-M: no access, never executed, size */

/* In RAM that no start-up touches (link.py). */
typedef struct kept {
    mbn_start_info start;
    uint32_t seal; /* of the words before: without it they are what power-on left */
} kept;
extern kept mbn_ld_kept;

int main(void);
void mbn_reset(void);
_Noreturn void mbn_start(void);
_Noreturn void mbn_fault_report(const uint32_t *frame, uint32_t exc_return);

static bool cycles_seen;
static mbn_start_info start;
static mbn_fault fault; /* all 0 until there is one */
__attribute__((used, aligned(8))) uint8_t mbn_fault_stack[FAULT_STACK_BYTES];

/* Entered with the hardware's frame on the stack (ARMv7-M B1.5.6). The main stack may be what
 * broke, so the report runs on its own. */
__attribute__((naked, used)) static void fault_handler(void)
{
    __asm volatile("mrs r0, msp\n"
                   "mov r1, lr\n"
                   "ldr r2, =mbn_fault_stack + %c0\n"
                   "mov sp, r2\n"
                   "ldr r2, =mbn_fault_report\n"
                   "bx r2\n"
                   ".ltorg\n" ::"i"(FAULT_STACK_BYTES));
}

/* ARMv7-M B1.5.3: initial stack pointer, reset, then the system exceptions 2 to 15. */
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    mbn_ld_stack_top,
    (const void *)mbn_reset,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
    (const void *)fault_handler,
};

/* Naked, because the compiler may use FPU or Helium registers in any C function: CPACR (ARMv7-M
 * B3.2.20) first. ARMv8-M adds a stack limit that faults before anything is overwritten. */
__attribute__((naked)) void mbn_reset(void)
{
    __asm volatile(
#if MAINLINE
        "ldr r0, =0xE000ED88\n"
        "ldr r1, [r0]\n"
        "orr r1, r1, #0x00F00000\n"
        "str r1, [r0]\n"
        "dsb\n"
        "isb\n"
#endif
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
        "ldr r0, =mbn_ld_stack_limit\n"
        "msr msplim, r0\n"
#endif
        "ldr r0, =mbn_ld_stack_top\n"
        "mov sp, r0\n"
        "ldr r0, =mbn_start\n"
        "bx r0\n"
        ".ltorg\n");
}

static void stack_paint(void)
{
    uint32_t here;
    __asm volatile("mov %0, sp" : "=r"(here));
    volatile uint32_t *end = (volatile uint32_t *)(here & ~3u);
    for (volatile uint32_t *word = mbn_ld_stack_limit; word < end; word++) {
        *word = STACK_PAINT;
    }
}

static uint32_t kept_seal(void)
{
    const uint32_t *words = (const uint32_t *)&mbn_ld_kept.start;
    uint32_t sum = KEPT_SEED;
    for (uint32_t k = 0; k < sizeof(mbn_start_info) / sizeof *words; k++) {
        sum = (sum << 1 | sum >> 31) ^ words[k];
    }
    return sum;
}

/* What the next start finds. */
static void keep(uint32_t reason)
{
    mbn_ld_kept.start.reason = reason;
    mbn_ld_kept.start.fault = fault;
    mbn_ld_kept.seal = kept_seal();
#if MAINLINE
    if ((SCB_CCR & CCR_DC) != 0u) { /* a reset forgets what is only in the cache */
        for (uint32_t at = 0; at < sizeof mbn_ld_kept; at += CACHE_LINE_BYTES) {
            SCB_DCCMVAC = (uint32_t)(uintptr_t)&mbn_ld_kept + at;
        }
    }
#endif
}

static void start_read(void)
{
    const bool sealed = mbn_ld_kept.seal == kept_seal();
    start.reason = MBN_START_POWER;
    if (sealed) {
        start = mbn_ld_kept.start;
    }
    if ((!sealed || start.reason == MBN_START_OTHER) && mbn_cortex_m_reset_by_watchdog()) {
        start.reason = MBN_START_WATCHDOG; /* without a warning: where is not known */
    }
    keep(MBN_START_OTHER); /* unless somebody says better */
}

/* ARMv6-M is left out: its only fault, HardFault, locks the core up where its frame can't be
 * stacked, and the frame of an overflow goes where the guard is. */
static void stack_guard(void)
{
#if MAINLINE
    if ((MPU_TYPE & MPU_TYPE_REGIONS) != 0u) {
#if defined(MBN_BEHIND_LOADER) /* which may have used the MPU for itself */
        MPU_CTRL = 0;
        for (uint32_t region = 0; region < (MPU_TYPE & MPU_TYPE_REGIONS) >> 8; region++) {
            MPU_RNR = region;
            MPU_RASR_RLAR = 0;
        }
#endif
        MPU_RNR = 0;
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
        MPU_RBAR = (uint32_t)(uintptr_t)mbn_ld_guard_start | MPU_RBAR_READ_ONLY_XN;
        MPU_RASR_RLAR = (uint32_t)(uintptr_t)mbn_ld_guard_last | MPU_RLAR_ENABLE;
#else
        MPU_RBAR = (uint32_t)(uintptr_t)mbn_ld_guard_start;
        MPU_RASR_RLAR = (uint32_t)(uintptr_t)mbn_ld_guard_rasr;
#endif
        MPU_CTRL = MPU_CTRL_ENABLE_DEFAULT;
        __asm volatile("dsb\n\tisb" ::: "memory");
    }
#endif
}

/* A counter that is there moves; QEMU's reads 0 for ever although DWT_CTRL claims it exists. */
static bool cycles_start(void)
{
#if MAINLINE
    DCB_DEMCR |= DEMCR_TRCENA;
#if defined(MBN_DWT_LOCKED)
    DWT_LAR = CORESIGHT_UNLOCK;
#endif
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    uint32_t first = DWT_CYCCNT;
    for (uint32_t k = 0; k < 16u; k++) {
        __asm volatile("nop");
    }
    return DWT_CYCCNT != first;
#else
    return false; /* ARMv6-M has none */
#endif
}

_Noreturn void mbn_start(void)
{
    __asm volatile("cpsid i" ::: "memory");
    stack_paint();
    const volatile uint32_t *hot = mbn_ld_hot_load;
    for (volatile uint32_t *to = mbn_ld_hot_start; to < mbn_ld_hot_end; to++) {
        *to = *hot++;
    }
    __asm volatile("dsb\n\tisb" ::: "memory"); /* code was written */
    const volatile uint32_t *from = mbn_ld_data_load;
    for (volatile uint32_t *to = mbn_ld_data_start; to < mbn_ld_data_end; to++) {
        *to = *from++;
    }
    for (volatile uint32_t *to = mbn_ld_bss_start; to < mbn_ld_bss_end; to++) {
        *to = 0;
    }
#if MAINLINE
    SCB_VTOR = (uint32_t)(uintptr_t)vectors;
    SCB_SHCSR |= (1u << 16) | (1u << 17) | (1u << 18); /* own handlers: memory, bus, usage */
#endif
#if defined(__ARM_ARCH_8_1M_MAIN__)
    SCB_CCR |= 1u << 19; /* low-overhead loops (DDI 0553, CCR.LOB) */
#endif
    stack_guard();
    start_read();
    cycles_seen = cycles_start();
    mbn_port_exit(main());
}

/* Every word but those of the frame comes from the status registers; the frame is read only where
 * it lies in our stack, since the fault may have been the stack itself. */
_Noreturn void mbn_fault_report(const uint32_t *frame, uint32_t exc_return)
{
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    fault.exception = exception;
    fault.sp = (uint32_t)(uintptr_t)frame;
    fault.exc_return = exc_return;
    if (frame >= mbn_ld_stack_limit && frame + 8 <= mbn_ld_stack_top) {
        fault.r0 = frame[0];
        fault.r1 = frame[1];
        fault.r2 = frame[2];
        fault.r3 = frame[3];
        fault.r12 = frame[4];
        fault.lr = frame[5];
        fault.pc = frame[6];
        fault.xpsr = frame[7];
    }
#if MAINLINE
    fault.cfsr = SCB_CFSR;
    fault.hfsr = SCB_HFSR;
    fault.mmfar = SCB_MMFAR;
    fault.bfar = SCB_BFAR;
#endif
#if defined(MBN_WATCHDOG_WARNS)
    keep(exception == EXCEPTION_NMI ? MBN_START_WATCHDOG : MBN_START_FAULT);
#else
    keep(MBN_START_FAULT);
#endif
    mbn_app_fault(&fault);
}

const mbn_start_info *mbn_port_start(void)
{
    return &start;
}

/* For boards without a watchdog, or whose file has none yet. */
__attribute__((weak)) void mbn_port_watchdog_start(uint32_t milliseconds)
{
    (void)milliseconds;
}

__attribute__((weak)) void mbn_port_watchdog_feed(void)
{
}

__attribute__((weak)) bool mbn_cortex_m_reset_by_watchdog(void)
{
    return false;
}

/* Weak: a part whose core has no counter may have another. */
__attribute__((weak)) bool mbn_port_has_cycles(void)
{
    return cycles_seen;
}

__attribute__((weak)) uint32_t mbn_port_cycles(void)
{
    return cycles_seen ? DWT_CYCCNT : 0u;
}

bool mbn_port_stack(mbn_stack_use *use)
{
    const volatile uint32_t *word = mbn_ld_stack_limit;
    use->guard_ok = true;
    for (uint32_t k = 0; k < STACK_GUARD_WORDS; k++) {
        use->guard_ok = use->guard_ok && word[k] == STACK_PAINT;
    }
    while (word < mbn_ld_stack_top && *word == STACK_PAINT) {
        word++;
    }
    use->reserved_bytes = (uint32_t)((uintptr_t)mbn_ld_stack_top - (uintptr_t)mbn_ld_stack_limit);
    use->used_bytes = (uint32_t)((uintptr_t)mbn_ld_stack_top - (uintptr_t)word);
    return true;
}

/* With interrupts masked (mbn_start) a pending SysTick wakes the core and enters no handler. */
void mbn_cortex_m_nap(uint32_t cycles)
{
    SYST_RVR = cycles;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_CORE_TICKINT_ENABLE;
    __asm volatile("wfi" ::: "memory");
    SYST_CSR = 0;
    SCB_ICSR = ICSR_PENDSTCLR;
}

_Noreturn void mbn_port_reset(void)
{
    if (fault.exception == 0u) {
        keep(MBN_START_ASKED);
    }
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = 0x05FA0004u; /* key and SYSRESETREQ, ARMv7-M B3.2.6 */
    for (;;) {
        __asm volatile("nop");
    }
}

/* Semihosting SYS_EXIT_EXTENDED (0x20) with ADP_Stopped_ApplicationExit (Arm semihosting 2.0). */
_Noreturn void mbn_port_exit(int status)
{
    const uint32_t block[2] = {0x20026u, (uint32_t)status};
    register uint32_t operation __asm("r0") = 0x20u;
    register const uint32_t *parameter __asm("r1") = block;
    __asm volatile("bkpt 0xab" ::"r"(operation), "r"(parameter) : "memory");
    for (;;) {
        __asm volatile("nop");
    }
}
