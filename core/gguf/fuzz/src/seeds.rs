//! Writes small sound files as seeds: each kind of value, each tensor type, several alignments.

use std::path::Path;

use inkling_gguf::{Array, GgufWriter, StringArray, TensorType, Value};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: seeds FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let save = |name: &str, writer: &GgufWriter| -> Result<(), Box<dyn std::error::Error>> {
        let bytes: u64 = writer.tensors().iter().map(|tensor| tensor.bytes).sum();
        let mut data = writer.write_to(Vec::new())?;
        data.push(&vec![0x5a; bytes as usize])?;
        let mut file = data.finish()?;
        std::fs::write(folder.join(name), &file)?;
        // Version 2 has the same layout.
        file[4] = 2;
        std::fs::write(folder.join(format!("{name}-v2")), &file)?;
        Ok(())
    };

    save("empty", &GgufWriter::new())?;
    let strings: StringArray = ["<s>", "a", ""].into_iter().collect();
    let values: [(&str, Value); 15] = [
        ("u8", 1_u8.into()),
        ("i8", (-1_i8).into()),
        ("u16", 2_u16.into()),
        ("i16", (-2_i16).into()),
        ("u32", 3_u32.into()),
        ("i32", (-3_i32).into()),
        ("u64", 4_u64.into()),
        ("i64", (-4_i64).into()),
        ("f32", 0.5_f32.into()),
        ("f64", 0.25_f64.into()),
        ("bool", true.into()),
        ("string", "text".into()),
        ("strings", strings.clone().into()),
        ("numbers", vec![1_i32, 2, 3].into()),
        ("nested", Array::Array([Array::U8([1, 2].into()), Array::String(strings)].into()).into()),
    ];
    let mut all = GgufWriter::new();
    for (key, value) in values {
        let mut one = GgufWriter::new();
        one.set(key, value.clone())?;
        save(&format!("value-{key}"), &one)?;
        all.set(key, value)?;
    }
    for (index, &kind) in TensorType::ALL.iter().enumerate() {
        let mut one = GgufWriter::new();
        one.alignment(8 << (index % 4))?;
        one.tensor("a", kind, &[kind.block_elements(), 2])?;
        one.tensor("b", TensorType::F32, &[3])?;
        save(&format!("tensor-{kind}"), &one)?;
    }
    all.tensor("token_embd.weight", TensorType::Q4_0, &[32, 2])?;
    all.tensor("output_norm.weight", TensorType::F32, &[4])?;
    save("all", &all)
}
