// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import FoundationEssentials
internal import KVM
internal import LinuxSystem
internal import MigrationWire

/// Builds virtio devices from what the guest sees of them and what they are connected to here,
/// which have to fit.
struct VirtioAssembly {
    /// What the guest sees.
    let descriptions: [WireVirtioDevice]
    /// What they are connected to here.
    let choices: GuestDevices

    /// Checks that there are as many of each kind as were chosen.
    ///
    /// - Parameters:
    ///   - descriptions: What the guest sees; may come from a peer.
    ///   - choices: What they are connected to here.
    /// - Throws: That they do not fit, or are too many.
    init(_ descriptions: [WireVirtioDevice], _ choices: GuestDevices) throws(MachineError) {
        guard descriptions.count <= VirtioBus.mostDevices else {
            throw .devices(.tooMany(descriptions.count, most: VirtioBus.mostDevices))
        }
        let kinds: [(name: String, flag: String, chosen: Int)] = [
            ("console", "--virtio-console", choices.console == nil ? 0 : 1),
            ("disk", "--disk", choices.disks.count),
            ("net", "--net", choices.networks.count),
        ]
        for kind in kinds {
            let described = descriptions.count { $0.name == kind.name }
            guard described == kind.chosen else {
                throw .devices(
                    .count(flag: kind.flag, guest: described, here: kind.chosen)
                )
            }
        }
        self.descriptions = descriptions
        self.choices = choices
    }

    /// Says what the guest will see of what was chosen.
    static func describe(_ choices: GuestDevices) throws(MachineError) -> [WireVirtioDevice] {
        var devices: [WireVirtioDevice] = []
        if choices.hasEntropy { devices.append(WireVirtioDevice(.entropy(WireEntropy()))) }
        if choices.console != nil {
            devices.append(WireVirtioDevice(.console(WireVirtioConsole())))
        }
        for choice in choices.disks {
            devices.append(WireVirtioDevice(.disk(WireDisk(try open(choice).shape))))
        }
        for choice in choices.networks {
            var card = WireNetworkCard()
            card.address = Data((choice.address ?? .random()).bytes)
            devices.append(WireVirtioDevice(.network(card)))
        }
        return devices
    }

    /// Opens what a device is connected to, and builds it.
    ///
    /// - Throws: ``MachineError``, and ``SystemError`` of what cannot be opened.
    func device(_ index: Int, _ wiring: VirtioDevice.Wiring) throws -> VirtioDevice {
        let position = descriptions[..<index].count { $0.name == descriptions[index].name }
        switch descriptions[index].kind {
        case .entropy:
            return VirtioDevice(EntropyModel(), wiring)
        case .console:
            let stream = try ConsoleCarrier(choices.console ?? .none, signalling: wiring.work)
            return VirtioDevice(ConsoleModel(stream), wiring, carrier: stream)
        case .disk(let disk):
            let choice = choices.disks[position]
            let (file, shape) = try Self.open(choice)
            guard disk == WireDisk(shape) else {
                throw MachineError.devices(
                    .disk(path: choice.path, guest: disk.text, here: WireDisk(shape).text)
                )
            }
            let contents = GuestDisk(file, at: choice.path, note: choices.note)
            let model = BlockModel(shape, name: "apus-disk-\(position)", contents: contents)
            return VirtioDevice(model, wiring)
        case .network(let card):
            let choice = choices.networks[position]
            guard let address = EthernetAddress([UInt8](card.address)) else {
                throw MachineError.devices(.impossible("an Ethernet address"))
            }
            if let chosen = choice.address, chosen != address {
                throw MachineError.devices(
                    .address(guest: address.description, here: chosen.description)
                )
            }
            let tap = try TapInterface(choice.tap)
            let port = GuestNetwork(tap, named: choice.tap, note: choices.note)
            let model = NetworkModel(address, port: port)
            return VirtioDevice(model, wiring, input: tap.rawDescriptor)
        case nil:
            throw MachineError.devices(.impossible("a device of an unknown kind"))
        }
    }

    private static func open(
        _ choice: DiskChoice
    ) throws(MachineError) -> (file: DiskFile, shape: DiskShape) {
        do {
            let file = try DiskFile(
                opening: choice.path,
                isReadOnly: choice.isReadOnly,
                caching: choice.isDirect ? .direct : .cached
            )
            let shape = DiskShape(
                byteCount: file.byteCount,
                blockByteCount: choice.isDirect ? 4096 : 512,
                isReadOnly: choice.isReadOnly
            )
            guard shape.byteCount > 0, shape.byteCount % UInt64(shape.blockByteCount) == 0 else {
                throw MachineError.devices(
                    .size(
                        path: choice.path,
                        byteCount: shape.byteCount,
                        blockByteCount: shape.blockByteCount
                    )
                )
            }
            return (file, shape)
        } catch {
            throw MachineError(error)
        }
    }
}

extension WireVirtioDevice {
    init(_ kind: OneOf_Kind) {
        self.init()
        self.kind = kind
    }

    /// In messages; kinds of devices that are connected to something are counted by it.
    var name: String {
        switch kind {
        case .entropy: "rng"
        case .console: "console"
        case .disk: "disk"
        case .network: "net"
        case nil: "unknown"
        }
    }
}

extension WireDisk {
    init(_ shape: DiskShape) {
        self.init()
        byteCount = shape.byteCount
        isReadOnly = shape.isReadOnly
        blockByteCount = shape.blockByteCount
    }

    /// For example `1048576 bytes in blocks of 512, read-only`.
    var text: String {
        "\(byteCount) bytes in blocks of \(blockByteCount)" + (isReadOnly ? ", read-only" : "")
    }
}
