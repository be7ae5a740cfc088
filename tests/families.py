"""The boards that nothing here emulates."""

PARTS = (
    "arduino_giga_r1",
    "arduino_nano33ble",
    "arduino_nicla_vision",
    "arduino_portenta_h7",
    "b_l475e_iot01a",
    "ek_ra8m1",
    "microbit_v2",
    "nrf52840dk",
    "nucleo_f446re",
    "nucleo_f746zg",
    "nucleo_h743zi",
    "nucleo_h7a3zi_q",
    "nucleo_l4r5zi",
    "nucleo_u575zi_q",
    "rp2040_pico",
    "rp2350_pico2",
    "stm32f746g_disco",
    "stm32h747i_disco",
    "teensy41",
    "xiao_nrf52840",
)
