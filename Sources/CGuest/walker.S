// SPDX-License-Identifier: Apache-2.0
// The built-in guest. CGuest.h says what it is; this is the program of each vCPU.
//
//   rdi  this vCPU's block            r8   position in the working set
//   rsi  address of the page          r9   pass, which is every page's generation
//   rbx  TSC at the last iteration    r10  pages of the working set
//   rbp  TSC at the last heartbeat    r11  start of a stride, or the generator of random order
//   r15  pages visited                r12  pages left in this pass
//   r13  checksum                     r14  page number
//
// No stack, no table of descriptors or interrupts, no address of its own. Instructions are what
// costs where KVM has to emulate them (about a microsecond each), so the checksum is one
// instruction a word.

#include "CGuest.h"

    .intel_syntax noprefix
// Note the time since the iteration before, and beat when it is time to.
.macro count_time
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov rcx, rax
    sub rcx, rbx
    jae 1f
    inc qword ptr [rdi + CGUEST_BLOCK_TSC_REGRESSIONS]
    mov rbp, rax
    xor ecx, ecx
1:  mov rbx, rax
    mov [rdi + CGUEST_BLOCK_LAST_TSC], rax
    cmp rcx, [rdi + CGUEST_BLOCK_LARGEST_GAP]
    jbe 1f
    mov [rdi + CGUEST_BLOCK_LARGEST_GAP], rcx
1:  sub rax, rbp
    cmp rax, [rdi + CGUEST_BLOCK_INTERVAL]
    jb 2f
    mov rbp, rbx
    inc qword ptr [rdi + CGUEST_BLOCK_HEARTBEATS]
    mov eax, r15d
    out CGUEST_PORT_HEARTBEAT, eax
2:
.endm

    .section .rodata.walker, "a", @progbits
    .globl cguest_walker_start
    .globl cguest_walker_end
    .hidden cguest_walker_start
    .hidden cguest_walker_end
    .balign 64
cguest_walker_start:
    xor r15d, r15d
    xor r9d, r9d
    xor r11d, r11d
    mov r10, [rdi + CGUEST_BLOCK_WORKING_SET]
    rdtsc
    shl rdx, 32
    or rax, rdx
    mov rbx, rax
    mov rbp, rax
    test r10, r10
    jz .Lidle

.Lpass:
    mov r12, r10
    cmp qword ptr [rdi + CGUEST_BLOCK_ORDER], CGUEST_ORDER_RANDOM
    je .Lrandom
    xor r8d, r8d
    xor r11d, r11d
    jmp .Lvisit

// Choose the next page of this pass.
.Lnext:
    cmp qword ptr [rdi + CGUEST_BLOCK_ORDER], CGUEST_ORDER_RANDOM
    je .Lrandom
    add r8, [rdi + CGUEST_BLOCK_STRIDE]
    cmp r8, r10
    jb .Lvisit
    inc r11                         // the pages between those visited so far
    mov r8, r11
    jmp .Lvisit

// A generator of full period, with an increment of its own for each pass: as many steps as it has
// numbers meet every number once, wherever they begin. Numbers beyond the working set are skipped.
// Folding is a permutation, too; it hides that low bits of such a generator hardly change.
.Lrandom:
    mov rcx, [rdi + CGUEST_BLOCK_SHIFT]
.Lagain:
    imul r11, [rdi + CGUEST_BLOCK_MULTIPLIER]
    lea r11, [r11 + r9 * 2]
    add r11, [rdi + CGUEST_BLOCK_INCREMENT]
    and r11, [rdi + CGUEST_BLOCK_MASK]
    mov r8, r11
    shr r8, cl
    xor r8, r11
    cmp r8, r10
    jae .Lagain

// Find the page, and what it should be.
.Lvisit:
    mov r14, [rdi + CGUEST_BLOCK_FIRST_PAGE]
    add r14, r8
    cmp r14, [rdi + CGUEST_BLOCK_LOW_PAGES]
    jb 1f
    add r14, [rdi + CGUEST_BLOCK_HOLE_PAGES]
1:  mov rsi, r14
    shl rsi, 12
    cmp qword ptr [rdi + CGUEST_BLOCK_ZERO_PERCENT], 0
    je .Lcontents
    imul rax, r8, CGUEST_ZERO_FACTOR
    xor edx, edx
    mov ecx, 100
    div rcx
    cmp rdx, [rdi + CGUEST_BLOCK_ZERO_PERCENT]
    jae .Lcontents

// A page that stays zero.
    xor eax, eax
    .set place, 0
    .rept 512
    or rax, [rsi + place]
    .set place, place + 8
    .endr
    test rax, rax
    jz .Lvisited
    mov ecx, CGUEST_CORRUPT_ZERO
    xor edx, edx
    jmp .Lcorrupt

// A page with contents: verify all of it.
.Lcontents:
    xor r13d, r13d
    .set place, CGUEST_PAGE_PAYLOAD
    .rept CGUEST_PAYLOAD_WORDS
    add r13, [rsi + place]
    .set place, place + 8
    .endr
    mov ecx, CGUEST_CORRUPT_NUMBER
    mov rdx, r14
    mov rax, [rsi + CGUEST_PAGE_NUMBER]
    cmp rax, rdx
    jne .Lcorrupt
    mov ecx, CGUEST_CORRUPT_GENERATION
    mov rdx, r9
    mov rax, [rsi + CGUEST_PAGE_GENERATION]
    cmp rax, rdx
    jne .Lcorrupt
    mov ecx, CGUEST_CORRUPT_CHECKSUM
    mov rdx, [rsi + CGUEST_PAGE_CHECKSUM]
    mov rax, r13
    cmp rax, rdx
    jne .Lcorrupt

// Change some words, each visit the neighbours of those before, and the checksum with them.
    mov rax, r9
    xor edx, edx
    div qword ptr [rdi + CGUEST_BLOCK_CHANGE_CYCLE]
    lea rcx, [rsi + rdx * 8 + CGUEST_PAGE_PAYLOAD]
    mov rdx, [rdi + CGUEST_BLOCK_CHANGE_STEP]
    .rept CGUEST_CHANGED_WORDS
    mov rax, [rcx]
    sub r13, rax
    imul rax, [rdi + CGUEST_BLOCK_MULTIPLIER]
    lea rax, [rax + r9 * 2 + 1]
    add r13, rax
    mov [rcx], rax
    add rcx, rdx
    .endr
// The header last: until then the page contradicts itself.
    mov [rsi + CGUEST_PAGE_CHECKSUM], r13
    lea rax, [r9 + 1]
    mov [rsi + CGUEST_PAGE_GENERATION], rax

// Count the page, and the time since the one before.
.Lvisited:
    inc r15
    mov [rdi + CGUEST_BLOCK_ITERATIONS], r15
    count_time
    dec r12
    jnz .Lnext
    inc r9
    mov [rdi + CGUEST_BLOCK_PASSES], r9
    jmp .Lpass

// Nothing to walk over: beat, and sleep in between. The host ends HLT by itself.
.Lidle:
    hlt
    count_time
    jmp .Lidle

// ecx what is wrong, rdx what was expected, rax what was found.
.Lcorrupt:
    mov [rdi + CGUEST_BLOCK_CORRUPT_PAGE], r14
    mov [rdi + CGUEST_BLOCK_CORRUPT_EXPECTED], rdx
    mov [rdi + CGUEST_BLOCK_CORRUPT_FOUND], rax
    mov [rdi + CGUEST_BLOCK_CORRUPT_KIND], rcx
    out CGUEST_PORT_CORRUPTION, al
1:  hlt
    jmp 1b
cguest_walker_end:

    .section .note.GNU-stack, "", @progbits
