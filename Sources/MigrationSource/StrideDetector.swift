// SPDX-License-Identifier: Apache-2.0

package import GuestMemory

/// Finds walks through memory among the requests of one lane, and says where they go next.
///
/// A value without a clock or a system call, owned by the lane's thread. Follows a few walks at
/// once, since several vCPUs may share a lane. Requests in no order yield no window: a walk
/// counts only after two equal steps.
package struct StrideDetector: Sendable {
    /// Steps that are longer, in pages, are none: 4 MiB.
    package static let longestStride = 1024

    /// What is known of one walk.
    private struct Walk {
        var last: Int
        /// Zero while only one page is known.
        var stride = 0
        /// Equal steps seen in a row.
        var steps = 0
        /// The last page that a window held.
        var reached: Int
        /// When it was last seen, in requests.
        var age = 0
    }

    private var walks: [4 of Walk]
    private var requests = 0
    private let mostPages: Int
    private let pageCount: Int

    /// - Parameters:
    ///   - mostPages: The most pages ahead of a request, 0 to 64; 0 finds nothing.
    ///   - pageCount: Pages that the guest has.
    package init(mostPages: Int, pageCount: Int) {
        precondition((0...64).contains(mostPages))
        // Far from every page, so that the first requests are near none of them.
        let nowhere = Walk(last: .min / 4, reached: .min / 4)
        walks = [4 of Walk](repeating: nowhere)
        self.mostPages = mostPages
        self.pageCount = pageCount
    }

    /// Takes note of a request.
    ///
    /// - Returns: What should be sent unasked; nil when there is no pattern, or enough of it is
    ///   under way.
    package mutating func observe(_ page: PageIndex) -> PrefetchWindow? {
        guard mostPages > 0 else { return nil }
        requests += 1
        let number = page.rawValue
        if let index = indexOfWalk(goingTo: number) {
            return advance(index, to: number)
        }
        let index = indexOfNeighbour(of: number) ?? indexOfOldest
        let step = number - walks[index].last
        if step != 0 && abs(step) <= Self.longestStride {
            walks[index].stride = step
            walks[index].steps = 1
        } else {
            walks[index].stride = 0
            walks[index].steps = 0
        }
        walks[index].last = number
        walks[index].reached = number
        walks[index].age = requests
        return nil
    }

    /// A walk that goes on at a page, if it skips no more than what may have been sent unasked.
    private func indexOfWalk(goingTo number: Int) -> Int? {
        for index in walks.indices where walks[index].stride != 0 {
            let (steps, rest) = (number - walks[index].last)
                .quotientAndRemainder(dividingBy: walks[index].stride)
            // A step that was seen once has to come again just so.
            let most = walks[index].steps > 1 ? 2 * mostPages + 1 : 1
            if rest == 0 && steps >= 1 && steps <= most { return index }
        }
        return nil
    }

    private func indexOfNeighbour(of number: Int) -> Int? {
        var best: Int?
        for index in walks.indices where walks[index].steps < 2 {
            guard abs(number - walks[index].last) <= Self.longestStride else { continue }
            if let known = best, walks[known].age > walks[index].age { continue }
            best = index
        }
        return best
    }

    private var indexOfOldest: Int {
        var oldest = 0
        for index in walks.indices where walks[index].age < walks[oldest].age { oldest = index }
        return oldest
    }

    private mutating func advance(_ index: Int, to number: Int) -> PrefetchWindow? {
        var walk = walks[index]
        defer { walks[index] = walk }
        walk.steps += 1
        walk.last = number
        walk.age = requests
        let stride = walk.stride
        // More is sent as the walk goes on: 4, 8, 16 …
        let ahead = min(mostPages, 1 << min(walk.steps, 6))
        let known = max(0, (walk.reached - number) / stride)
        guard known <= ahead / 2 else { return nil }
        let room = stride > 0 ? pageCount - 1 - number : number
        let last = min(ahead, room / abs(stride))
        guard last > known else { return nil }
        walk.reached = number + last * stride
        return PrefetchWindow(
            first: PageIndex(number + (known + 1) * stride),
            stride: stride,
            count: last - known
        )
    }
}
