// SPDX-License-Identifier: Apache-2.0
// The guest of a paging benchmark. cguest_toucher.h says what it is.
//
//   rdi  struct cguest_touch      rcx  pages left
//   rsi  address of the page      rax  the word

#include "CGuest.h"

    .intel_syntax noprefix
    .section .rodata.toucher, "a", @progbits
    .globl cguest_toucher_start
    .globl cguest_toucher_end
    .hidden cguest_toucher_start
    .hidden cguest_toucher_end
    .balign 64
cguest_toucher_start:
    mov rsi, [rdi + CGUEST_TOUCH_ADDRESS]
    mov rcx, [rdi + CGUEST_TOUCH_PAGES]
    mov rax, [rdi + CGUEST_TOUCH_WORD]
1:  mov [rsi], rax
    add rsi, 4096
    dec rcx
    jnz 1b
    out CGUEST_PORT_TOUCHED, al
    // Nobody enters it again.
    hlt
cguest_toucher_end:

    .section .note.GNU-stack, "", @progbits
