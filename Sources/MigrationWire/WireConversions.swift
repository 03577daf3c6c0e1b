// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
package import GuestMemory

extension GuestLayout {
    /// Checks and takes a layout that a peer sent.
    package init(_ regions: [WireMemoryRegion]) throws(Defect) {
        guard regions.count <= Self.mostRegions else { throw .regionCount(regions.count) }
        var checked: [Region] = []
        for (index, region) in regions.enumerated() {
            guard let pageCount = Int(exactly: region.pageCount) else {
                throw .region(index: index)
            }
            checked.append(Region(guestAddress: region.guestAddress, pageCount: pageCount))
        }
        try self.init(regions: checked)
    }

    /// The layout, for a message.
    package var wire: [WireMemoryRegion] {
        regions.map { region in
            var message = WireMemoryRegion()
            message.guestAddress = region.guestAddress
            message.pageCount = UInt64(region.pageCount)
            return message
        }
    }
}

extension PageDigest {
    /// The digest in a message.
    package init(_ message: WireDigest) {
        self.init(low: message.low, high: message.high)
    }
}

extension WireDigest {
    /// A digest, for a message.
    package init(_ digest: PageDigest) {
        self.init()
        low = digest.low
        high = digest.high
    }
}

extension WireWelcome {
    /// The session key; nil for one of a wrong size.
    package var key: SessionKey? {
        get { SessionKey(sessionKey) }
        set { sessionKey = Data(newValue?.array ?? []) }
    }

    /// The guest's identity.
    package var identity: [UInt8] {
        get { Array(guestIdentity) }
        set { guestIdentity = Data(newValue) }
    }
}
