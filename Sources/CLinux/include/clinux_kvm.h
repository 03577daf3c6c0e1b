// SPDX-License-Identifier: Apache-2.0
// /dev/kvm: see Documentation/virt/kvm/api.rst in the kernel source.
#ifndef APUS_CLINUX_KVM_H
#define APUS_CLINUX_KVM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

// An enum with a fixed type imports as UInt; function-like macros do not import at all.
enum : unsigned long {
    // On /dev/kvm.
    CLINUX_KVM_GET_API_VERSION = KVM_GET_API_VERSION,
    CLINUX_KVM_CREATE_VM = KVM_CREATE_VM,
    CLINUX_KVM_CHECK_EXTENSION = KVM_CHECK_EXTENSION,
    CLINUX_KVM_GET_VCPU_MMAP_SIZE = KVM_GET_VCPU_MMAP_SIZE,
    CLINUX_KVM_GET_MSR_INDEX_LIST = KVM_GET_MSR_INDEX_LIST,
    CLINUX_KVM_GET_SUPPORTED_CPUID = KVM_GET_SUPPORTED_CPUID,
    // On a VM.
    CLINUX_KVM_CREATE_VCPU = KVM_CREATE_VCPU,
    CLINUX_KVM_SET_USER_MEMORY_REGION = KVM_SET_USER_MEMORY_REGION,
    CLINUX_KVM_SET_TSS_ADDR = KVM_SET_TSS_ADDR,
    CLINUX_KVM_SET_IDENTITY_MAP_ADDR = KVM_SET_IDENTITY_MAP_ADDR,
    CLINUX_KVM_GET_CLOCK = KVM_GET_CLOCK,
    CLINUX_KVM_SET_CLOCK = KVM_SET_CLOCK,
    CLINUX_KVM_CREATE_IRQCHIP = KVM_CREATE_IRQCHIP,
    CLINUX_KVM_CREATE_PIT2 = KVM_CREATE_PIT2,
    CLINUX_KVM_IRQ_LINE = KVM_IRQ_LINE,
    CLINUX_KVM_IOEVENTFD = KVM_IOEVENTFD,
    CLINUX_KVM_GET_IRQCHIP = KVM_GET_IRQCHIP,
    CLINUX_KVM_SET_IRQCHIP = KVM_SET_IRQCHIP,
    CLINUX_KVM_GET_PIT2 = KVM_GET_PIT2,
    CLINUX_KVM_SET_PIT2 = KVM_SET_PIT2,
    CLINUX_KVM_ENABLE_CAP = KVM_ENABLE_CAP,
    CLINUX_KVM_GET_DIRTY_LOG = KVM_GET_DIRTY_LOG,
    CLINUX_KVM_RESET_DIRTY_RINGS = KVM_RESET_DIRTY_RINGS,
    // On a vCPU.
    CLINUX_KVM_RUN = KVM_RUN,
    CLINUX_KVM_SET_CPUID2 = KVM_SET_CPUID2,
    CLINUX_KVM_GET_REGS = KVM_GET_REGS,
    CLINUX_KVM_SET_REGS = KVM_SET_REGS,
    CLINUX_KVM_GET_SREGS = KVM_GET_SREGS,
    CLINUX_KVM_SET_SREGS = KVM_SET_SREGS,
    CLINUX_KVM_GET_XSAVE = KVM_GET_XSAVE,
    CLINUX_KVM_GET_XSAVE2 = KVM_GET_XSAVE2,
    CLINUX_KVM_SET_XSAVE = KVM_SET_XSAVE,
    CLINUX_KVM_GET_XCRS = KVM_GET_XCRS,
    CLINUX_KVM_SET_XCRS = KVM_SET_XCRS,
    CLINUX_KVM_GET_DEBUGREGS = KVM_GET_DEBUGREGS,
    CLINUX_KVM_SET_DEBUGREGS = KVM_SET_DEBUGREGS,
    CLINUX_KVM_GET_VCPU_EVENTS = KVM_GET_VCPU_EVENTS,
    CLINUX_KVM_SET_VCPU_EVENTS = KVM_SET_VCPU_EVENTS,
    CLINUX_KVM_GET_MP_STATE = KVM_GET_MP_STATE,
    CLINUX_KVM_SET_MP_STATE = KVM_SET_MP_STATE,
    CLINUX_KVM_GET_MSRS = KVM_GET_MSRS,
    CLINUX_KVM_SET_MSRS = KVM_SET_MSRS,
    CLINUX_KVM_GET_LAPIC = KVM_GET_LAPIC,
    CLINUX_KVM_SET_LAPIC = KVM_SET_LAPIC,
    CLINUX_KVM_GET_TSC_KHZ = KVM_GET_TSC_KHZ,
    CLINUX_KVM_SET_TSC_KHZ = KVM_SET_TSC_KHZ,
    CLINUX_KVM_KVMCLOCK_CTRL = KVM_KVMCLOCK_CTRL,
    CLINUX_KVM_HAS_DEVICE_ATTR = KVM_HAS_DEVICE_ATTR,
    CLINUX_KVM_GET_DEVICE_ATTR = KVM_GET_DEVICE_ATTR,
    CLINUX_KVM_SET_DEVICE_ATTR = KVM_SET_DEVICE_ATTR,
};

// Where the fields of struct kvm_run lie. The structure is a mapping that the kernel writes, so
// single fields are loaded from it; importing it would copy all of it for each.
enum : unsigned long {
    CLINUX_KVM_RUN_IMMEDIATE_EXIT = offsetof(struct kvm_run, immediate_exit),
    CLINUX_KVM_RUN_EXIT_REASON = offsetof(struct kvm_run, exit_reason),
    CLINUX_KVM_RUN_CR8 = offsetof(struct kvm_run, cr8),
    CLINUX_KVM_RUN_HARDWARE_REASON =
        offsetof(struct kvm_run, fail_entry.hardware_entry_failure_reason),
    CLINUX_KVM_RUN_IO_DIRECTION = offsetof(struct kvm_run, io.direction),
    CLINUX_KVM_RUN_IO_SIZE = offsetof(struct kvm_run, io.size),
    CLINUX_KVM_RUN_IO_PORT = offsetof(struct kvm_run, io.port),
    CLINUX_KVM_RUN_IO_COUNT = offsetof(struct kvm_run, io.count),
    CLINUX_KVM_RUN_IO_DATA_OFFSET = offsetof(struct kvm_run, io.data_offset),
    CLINUX_KVM_RUN_MMIO_ADDRESS = offsetof(struct kvm_run, mmio.phys_addr),
    CLINUX_KVM_RUN_MMIO_DATA = offsetof(struct kvm_run, mmio.data),
    CLINUX_KVM_RUN_MMIO_LENGTH = offsetof(struct kvm_run, mmio.len),
    CLINUX_KVM_RUN_MMIO_IS_WRITE = offsetof(struct kvm_run, mmio.is_write),
    CLINUX_KVM_RUN_INTERNAL_SUBERROR = offsetof(struct kvm_run, internal.suberror),
    // struct memory_fault { flags, gpa, size }, newer than the headers of Debian 12; like every
    // member of the union it begins where the exit's own fields begin.
    CLINUX_KVM_RUN_MEMORY_FAULT_FLAGS = offsetof(struct kvm_run, hw),
    CLINUX_KVM_RUN_MEMORY_FAULT_ADDRESS = offsetof(struct kvm_run, hw) + 8,
    CLINUX_KVM_RUN_MEMORY_FAULT_SIZE = offsetof(struct kvm_run, hw) + 16,
};

enum : uint32_t {
    CLINUX_KVM_EXIT_MEMORY_FAULT = 39,      // since Linux 6.8
    CLINUX_KVM_EXIT_MEMORY_FAULT_RFC = 38,  // the RFC's number, which x86 and arm64 use for nothing
};

// Newer than the headers of Debian 12: see Documentation/virt/kvm/api.rst, 4.140, and
// Documentation/KERNEL.md for the switch.
struct clinux_kvm_memory_attributes {
    uint64_t address;
    uint64_t size;
    uint64_t attributes;
    uint64_t flags;
};
// 4.143.
struct clinux_kvm_pre_fault_memory {
    uint64_t address;
    uint64_t size;
    uint64_t flags;
    uint64_t reserved[5];
};
enum : unsigned long {
    CLINUX_KVM_PRE_FAULT_MEMORY = _IOWR(KVMIO, 0xd5, struct clinux_kvm_pre_fault_memory),
    CLINUX_KVM_SET_MEM_FAULT_NOWAIT = _IOWR(KVMIO, 0xd2, _Bool),
    CLINUX_KVM_SET_MEMORY_ATTRIBUTES = _IOW(KVMIO, 0xd2, struct clinux_kvm_memory_attributes),
};
enum : uint64_t {
    CLINUX_KVM_MEMORY_ATTRIBUTE_PRIVATE = 1 << 3,
};
enum : int32_t {
    CLINUX_KVM_CAP_MEMORY_ATTRIBUTES = 233,
    CLINUX_KVM_CAP_VM_TYPES = 235,
    CLINUX_KVM_CAP_PRE_FAULT_MEMORY = 236,
};
enum : unsigned long {
    CLINUX_KVM_X86_DEFAULT_VM = 0,
    CLINUX_KVM_X86_SW_PROTECTED_VM = 1,
};
_Static_assert(CLINUX_KVM_SET_MEM_FAULT_NOWAIT == 0xC001AED2, "the RFC's ioctl");
_Static_assert(CLINUX_KVM_SET_MEMORY_ATTRIBUTES == 0x4020AED2, "the kernel's ioctl");
_Static_assert(CLINUX_KVM_PRE_FAULT_MEMORY == 0xC040AED5, "the kernel's ioctl");

// Dirty pages: api.rst 8.29. An entry of a ring is flags, slot and offset of a page.
enum : uint32_t {
    CLINUX_KVM_DIRTY_GFN_F_DIRTY = KVM_DIRTY_GFN_F_DIRTY,
    CLINUX_KVM_DIRTY_GFN_F_RESET = KVM_DIRTY_GFN_F_RESET,
};
enum : unsigned long {
    // Where the ring lies in the mapping of a vCPU, in pages.
    CLINUX_KVM_DIRTY_LOG_PAGE_OFFSET = KVM_DIRTY_LOG_PAGE_OFFSET,
};
_Static_assert(sizeof(struct kvm_dirty_gfn) == 16, "kvm_dirty_gfn layout");
_Static_assert(offsetof(struct kvm_dirty_gfn, slot) == 4, "kvm_dirty_gfn layout");
_Static_assert(offsetof(struct kvm_dirty_gfn, offset) == 8, "kvm_dirty_gfn layout");
_Static_assert(sizeof(struct kvm_dirty_log) == 16, "kvm_dirty_log layout");

// Flags of struct kvm_clock_data, which import with three different types.
enum : uint32_t {
    CLINUX_KVM_CLOCK_TSC_STABLE = KVM_CLOCK_TSC_STABLE,
    CLINUX_KVM_CLOCK_REALTIME = KVM_CLOCK_REALTIME,
    CLINUX_KVM_CLOCK_HOST_TSC = KVM_CLOCK_HOST_TSC,
};

// Sizes that travel to another host.
_Static_assert(sizeof(struct kvm_regs) == 144, "kvm_regs layout");
_Static_assert(sizeof(struct kvm_sregs) == 312, "kvm_sregs layout");
_Static_assert(sizeof(struct kvm_xcrs) == 392, "kvm_xcrs layout");
_Static_assert(sizeof(struct kvm_debugregs) == 128, "kvm_debugregs layout");
_Static_assert(sizeof(struct kvm_vcpu_events) == 64, "kvm_vcpu_events layout");
_Static_assert(sizeof(struct kvm_mp_state) == 4, "kvm_mp_state layout");
_Static_assert(sizeof(struct kvm_clock_data) == 48, "kvm_clock_data layout");
_Static_assert(sizeof(struct kvm_lapic_state) == 1024, "kvm_lapic_state layout");
_Static_assert(sizeof(struct kvm_pit_state2) == 112, "kvm_pit_state2 layout");
// A union inside, of chips; in front of it the number of the chip and four bytes of padding.
_Static_assert(sizeof(struct kvm_irqchip) == 520, "kvm_irqchip layout");
_Static_assert(offsetof(struct kvm_irqchip, chip) == 8, "kvm_irqchip layout");
_Static_assert(sizeof(struct kvm_irq_level) == 8, "kvm_irq_level layout");
// Structures with a flexible array, which does not import: laid out by hand in Swift.
_Static_assert(sizeof(struct kvm_msrs) == 8, "kvm_msrs layout");
_Static_assert(sizeof(struct kvm_msr_entry) == 16, "kvm_msr_entry layout");
_Static_assert(offsetof(struct kvm_msr_entry, data) == 8, "kvm_msr_entry layout");
_Static_assert(sizeof(struct kvm_msr_list) == 4, "kvm_msr_list layout");
_Static_assert(sizeof(struct kvm_cpuid2) == 8, "kvm_cpuid2 layout");
_Static_assert(sizeof(struct kvm_cpuid_entry2) == 40, "kvm_cpuid_entry2 layout");

#endif
