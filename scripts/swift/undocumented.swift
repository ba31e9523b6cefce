// undocumented.swift GRAPH: fails if a public name of the symbol graph has no word about it.

import Foundation

struct Graph: Decodable {
    struct Symbol: Decodable {
        struct Comment: Decodable {}
        let pathComponents: [String]
        let docComment: Comment?
    }
    let symbols: [Symbol]
}

let bytes = try Data(contentsOf: URL(filePath: CommandLine.arguments[1]))
let symbols = try JSONDecoder().decode(Graph.self, from: bytes).symbols
let bare = symbols.filter { $0.docComment == nil }
for symbol in bare { print("undocumented: \(symbol.pathComponents.joined(separator: "."))") }
print("\(symbols.count) public names, \(bare.count) of them without documentation")
exit(bare.isEmpty && symbols.count > 100 ? 0 : 1)
