// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

/// What every Swift target is compiled with: Swift 6, strict memory safety, no warnings.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser",
    package: "swift-argument-parser"
)
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let mustache = Target.Dependency.product(name: "Mustache", package: "swift-mustache")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")

/// A Swift library; its tests, where it has any, are in `Tests/<name>Tests`.
func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// A program, which in a release brings Swift's libraries with it.
///
/// So it starts in half the time, runs where there is no Swift, and looks for no function by way of
/// the dynamic linker while a guest stands still. Tests link dynamically.
func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    // Foundation names these in the Swift modules that are for static linking only.
    let foundation = [
        "CoreFoundation", "FoundationInternationalization", "_FoundationCShims",
        "_FoundationCollections", "_FoundationICU",
    ].map { "-l" + $0 }
    return .executableTarget(
        name: name,
        dependencies: dependencies,
        swiftSettings: strict,
        linkerSettings: [
            .unsafeFlags(
                ["-static-stdlib", "-Xlinker", "--start-group"] + foundation
                    + ["-Xlinker", "--end-group"],
                .when(configuration: .release)
            )
        ]
    )
}

func tests(
    _ name: String,
    _ dependencies: [Target.Dependency],
    exclude: [String] = []
) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

// Targets import only from those above them: the order of the folders is the architecture.
let package = Package(
    name: "Apus",
    products: [
        .executable(name: "apus-source", targets: ["apus-source"]),
        .executable(name: "apus-destination", targets: ["apus-destination"]),
        .executable(name: "apus", targets: ["apus"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    ],
    targets: [
        .target(
            name: "CLinux",
            cSettings: [.enableWarning("all"), .enableWarning("extra")]
        ),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(
            name: "CXXHash",
            pkgConfig: "libxxhash",
            providers: [.apt(["libxxhash-dev"])]
        ),
        .target(name: "CGuest"),
        .target(
            name: "CAllocationCounter",
            cSettings: [.enableWarning("all"), .enableWarning("extra")]
        ),
        library("LinuxSystem", ["CLinux"]),
        library("GuestMemory", ["LinuxSystem"]),
        library("KVM", ["CLinux", "LinuxSystem", "GuestMemory"]),
        library("Userfault", ["CLinux", "LinuxSystem", "GuestMemory"]),
        .target(
            name: "MigrationWire",
            dependencies: ["CLZ4", "CXXHash", "GuestMemory", protobuf],
            exclude: ["Messages"],
            swiftSettings: strict
        ),
        library("Transport", ["LinuxSystem", "MigrationWire", protobuf]),
        library("Devices", []),
        library("Boot", ["GuestMemory", "Devices"]),
        library(
            "Machine",
            [
                "CGuest", "LinuxSystem", "GuestMemory", "KVM", "MigrationWire", "Devices", "Boot",
            ]
        ),
        library("Doctor", ["LinuxSystem", "KVM", "Userfault"]),
        library("Telemetry", ["LinuxSystem", histogram]),
        library(
            "MigrationSource",
            ["LinuxSystem", "GuestMemory", "MigrationWire", "Transport", "Machine", "Telemetry"]
        ),
        library(
            "MigrationDestination",
            [
                "LinuxSystem", "GuestMemory", "KVM", "Userfault", "MigrationWire", "Transport",
                "Machine", "Telemetry",
            ]
        ),
        .target(
            name: "ReportPage",
            dependencies: ["LinuxSystem", "Telemetry", mustache],
            resources: ["page", "part", "plot", "table"].map {
                .embedInCode("Resources/\($0).mustache")
            } + [.embedInCode("Resources/style.css"), .embedInCode("Resources/plots.js")],
            swiftSettings: strict
        ),
        library(
            "Console",
            [
                "LinuxSystem", "GuestMemory", "KVM", "MigrationWire", "Transport", "Machine",
                "Telemetry", "MigrationSource", argumentParser,
            ]
        ),
        executable(
            "apus-source",
            [
                "LinuxSystem", "GuestMemory", "Transport", "Machine", "Telemetry", "Console",
                argumentParser,
            ]
        ),
        executable(
            "apus-destination",
            [
                "LinuxSystem", "GuestMemory", "KVM", "MigrationWire", "Transport", "Machine",
                "Telemetry", "MigrationDestination", "Console", argumentParser,
            ]
        ),
        executable(
            "apus",
            [
                "CAllocationCounter", "CGuest", "LinuxSystem", "GuestMemory", "KVM", "Userfault",
                "MigrationWire", "Transport", "Doctor", "Telemetry", "MigrationSource",
                "MigrationDestination", "ReportPage", "Console", argumentParser,
            ]
        ),
        tests("TelemetryTests", ["LinuxSystem", "Telemetry", "ProcessSupport"]),
        .target(
            name: "TestSupport",
            dependencies: ["LinuxSystem", "GuestMemory", "KVM", "Userfault"],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        tests("LinuxSystemTests", ["CLinux", "LinuxSystem", "TestSupport"]),
        tests("GuestMemoryTests", ["LinuxSystem", "GuestMemory", "TestSupport"]),
        tests(
            "UserfaultTests",
            ["CLinux", "LinuxSystem", "GuestMemory", "Userfault", "TestSupport"]
        ),
        tests(
            "MigrationWireTests",
            ["LinuxSystem", "GuestMemory", "MigrationWire", "TestSupport"]
        ),
        tests(
            "TransportTests",
            [
                "CLinux", "LinuxSystem", "GuestMemory", "MigrationWire", "Transport",
                "TestSupport", protobuf,
            ]
        ),
        tests(
            "AllocationTests",
            [
                "CAllocationCounter", "LinuxSystem", "GuestMemory", "MigrationWire", "Transport",
                "TestSupport",
            ]
        ),
        tests("DevicesTests", ["Devices"]),
        tests("BootTests", ["GuestMemory", "Boot"]),
        tests("DoctorTests", ["LinuxSystem", "KVM", "Userfault", "Doctor", "TestSupport"]),
        tests("KVMTests", ["LinuxSystem", "GuestMemory", "KVM", "TestSupport"]),
        tests(
            "MachineTests",
            [
                "CGuest", "LinuxSystem", "GuestMemory", "KVM", "MigrationWire", "Machine",
                "TestSupport", protobuf,
            ]
        ),
        tests(
            "MigrationSourceTests",
            ["LinuxSystem", "GuestMemory", "MigrationWire", "MigrationSource"]
        ),
        tests(
            "FaultPathTests",
            [
                "LinuxSystem", "GuestMemory", "KVM", "Userfault", "MigrationWire", "Transport",
                "Telemetry", "MigrationDestination", "TestSupport",
            ]
        ),
        .target(
            name: "CSyscallDelay",
            path: "Tests/CSyscallDelay",
            cSettings: [.enableWarning("all"), .enableWarning("extra")]
        ),
        tests(
            "PairTests",
            [
                "CLinux", "CSyscallDelay", "LinuxSystem", "GuestMemory", "KVM", "Userfault",
                "MigrationWire", "Transport",
                "Machine", "Telemetry", "MigrationSource", "MigrationDestination", "TestSupport",
            ]
        ),
        .target(
            name: "ProcessSupport",
            dependencies: ["KVM", "LinuxSystem", "MigrationWire", "Telemetry", "TestSupport"],
            path: "Tests/ProcessSupport",
            swiftSettings: strict
        ),
        tests("EndToEndTests", ["KVM", "Telemetry", "TestSupport", "ProcessSupport"]),
        tests(
            "ReportPageTests",
            ["Telemetry", "ReportPage", "TestSupport", "ProcessSupport"],
            exclude: ["Reports"]
        ),
        tests("WorkbenchTests", ["KVM", "TestSupport", "ProcessSupport"]),
        tests(
            "HostilePeerTests",
            [
                "LinuxSystem", "MigrationWire", "Telemetry", "TestSupport", "ProcessSupport",
                protobuf,
            ]
        ),
    ]
)
