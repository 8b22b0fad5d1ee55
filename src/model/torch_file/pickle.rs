//! Reads the pickles that `torch.save` writes, without running anything: a pickle is a program for a small stack machine, and
//! this one has only the instructions that build numbers, texts, lists, dictionaries and the descriptions of tensors. What
//! would call any other function is refused by its name.
//!
//! Values are in one list and refer to each other by index, so that no nesting, however deep, is followed by recursion.

use std::collections::HashMap;

/// Most values of a pickle; that of a network of 10,000 tensors has about 200,000.
const MAX_VALUES: usize = 1 << 21;
/// Most sides of a tensor, and most letters of a storage's name.
const MAX_SIDES: usize = 8;
const MAX_NAME: usize = 100;

/// The index of a value.
pub(super) type Id = usize;

/// Something that a pickle builds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Function(Function),
    Storage(Storage),
    Tensor(TensorView),
}

/// The functions and classes that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    Tensor,
    /// `torch._utils._rebuild_parameter`
    Parameter,
    /// `torch.Size`
    Size,
    /// `torch.FloatStorage` and the like, by the word in front of `Storage`.
    Storage(&'static str),
}

/// The words of storages whose tensors PyTorch saves.
const STORAGES: [&str; 11] =
    ["Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat"];

/// The storage of tensors: an entry of the archive.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    /// The kind of its values: `Float`.
    pub kind: &'static str,
    /// The entry's name below `data/`.
    pub entry: String,
    /// Number of values.
    pub count: i64,
}

/// A tensor as a window on a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorView {
    pub storage: Id,
    pub offset: i64,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
}

/// What a pickle came to.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Reads a pickle to its end.
    ///
    /// # Errors
    /// Says what it would call, or that it is damaged.
    pub(super) fn read(bytes: &[u8]) -> Result<Pickle, String> {
        let mut machine =
            Machine { rest: bytes, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
        let root = machine.run()?;
        Ok(Pickle { values: machine.values, root })
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    pub(super) fn root(&self) -> &Value {
        &self.values[self.root]
    }
}

/// In errors about a file that has more in it than tensors.
pub(in crate::model) const RUNS_CODE: &str = "loading it would call";

struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

type Done<T = ()> = Result<T, String>;

fn damaged<T>(what: &str) -> Done<T> {
    Err(format!("its pickle is damaged: {what}"))
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Done<Id> {
        loop {
            self.check_count()?;
            let code = self.take(1)?[0];
            match code {
                b'.' => return self.pop(),
                0x80 => drop(self.take(1)?), // PROTO
                0x95 => drop(self.take(8)?), // FRAME
                b'(' => self.marks.push(self.stack.len()),
                b'N' => self.push(Value::None),
                0x88 | 0x89 => self.push(Value::Bool),
                b'K' => self.int(1)?,
                b'M' => self.int(2)?,
                b'J' => self.int(4)?,
                0x8A => self.long()?,
                b'G' => self.float()?,
                b'X' => self.text(4)?,
                0x8C => self.text(1)?,
                b')' => self.push(Value::Tuple(Vec::new())),
                b'}' => self.push(Value::Dict(Vec::new())),
                b']' => self.push(Value::List(Vec::new())),
                b't' => {
                    let items = self.since_mark()?;
                    self.push(Value::Tuple(items));
                }
                0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
                b'q' => self.remember(1)?,
                b'r' => self.remember(4)?,
                0x94 => self.remember_next()?,
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                b'c' => self.global()?,
                b'R' => self.call()?,
                b'Q' => self.persistent()?,
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(vec![key, value])?;
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.set(items)?;
                }
                // BUILD: attributes of an OrderedDict, which `state_dict` uses for the versions of modules.
                b'b' => drop(self.pop()?),
                other => {
                    return Err(format!(
                        "its pickle has the instruction 0x{other:02x}, which files of tensors do not need"
                    ));
                }
            }
        }
    }

    fn take(&mut self, count: usize) -> Done<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => damaged("it is cut off"),
        }
    }

    /// An unsigned number of `width` bytes.
    fn number(&mut self, width: usize) -> Done<u64> {
        Ok(self.take(width)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// A bound on what a small pickle can make the program build: an instruction of one byte makes a value of a hundred.
    fn check_count(&self) -> Done {
        match self.values.len() <= MAX_VALUES {
            true => Ok(()),
            false => Err(format!("its pickle has more than {MAX_VALUES} values")),
        }
    }

    fn pop(&mut self) -> Done<Id> {
        self.stack.pop().map_or_else(|| damaged("its stack is empty"), Ok)
    }

    fn top(&self) -> Done<Id> {
        self.stack.last().map_or_else(|| damaged("its stack is empty"), |&id| Ok(id))
    }

    fn since_mark(&mut self) -> Done<Vec<Id>> {
        match self.marks.pop().filter(|&mark| mark <= self.stack.len()) {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => damaged("a mark is missing"),
        }
    }

    /// BININT1, BININT2 and BININT, of which only the last is signed.
    fn int(&mut self, width: usize) -> Done {
        let number = self.number(width)?;
        self.push(Value::Int(if width == 4 { i64::from(number as u32 as i32) } else { number as i64 }));
        Ok(())
    }

    /// LONG1: a signed number of a given length.
    fn long(&mut self) -> Done {
        let width = self.number(1)? as usize;
        if width > 8 {
            return damaged("a number has more than 64 bits");
        }
        let number = self.number(width)?;
        let unused = 64 - 8 * width as u32;
        self.push(Value::Int(if width == 0 { 0 } else { (number << unused) as i64 >> unused }));
        Ok(())
    }

    fn float(&mut self) -> Done {
        self.take(8)?;
        self.push(Value::Float);
        Ok(())
    }

    /// TUPLE1 to TUPLE3: of the `count` topmost values.
    fn tuple(&mut self, count: usize) -> Done {
        let Some(start) = self.stack.len().checked_sub(count) else { return damaged("a tuple of nothing") };
        let items = self.stack.split_off(start);
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn text(&mut self, width: usize) -> Done {
        let length = self.number(width)? as usize;
        match std::str::from_utf8(self.take(length)?) {
            Ok(text) => self.push(Value::Text(text.to_owned())),
            Err(_) => return damaged("a text is not UTF-8"),
        }
        Ok(())
    }

    fn remember(&mut self, width: usize) -> Done {
        let (number, top) = (self.number(width)?, self.top()?);
        self.memo.insert(number, top);
        Ok(())
    }

    fn remember_next(&mut self) -> Done {
        let top = self.top()?;
        self.memo.insert(self.memo.len() as u64, top);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Done {
        let number = self.number(width)?;
        match self.memo.get(&number) {
            Some(&id) => self.stack.push(id),
            None => return damaged("it refers to a value that is not there"),
        }
        Ok(())
    }

    fn line(&mut self) -> Done<&'a str> {
        let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') else { return damaged("it is cut off") };
        let line = &self.take(end + 1)?[..end];
        std::str::from_utf8(line).or_else(|_| damaged("a name is not UTF-8"))
    }

    fn global(&mut self) -> Done {
        let (module, name) = (self.line()?, self.line()?);
        let function = match (module, name) {
            ("collections", "OrderedDict") => Some(Function::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Function::Tensor),
            ("torch._utils", "_rebuild_parameter") => Some(Function::Parameter),
            ("torch", "Size") => Some(Function::Size),
            ("torch", name) => {
                let known = STORAGES.iter().find(|kind| name.strip_suffix("Storage") == Some(kind));
                known.map(|kind| Function::Storage(kind))
            }
            _ => None,
        };
        let shown: String = format!("{module}.{name}").chars().take(100).flat_map(char::escape_debug).collect();
        let function = function.ok_or_else(|| {
            format!("it holds more than tensors: {RUNS_CODE} `{shown}`, and no code in a file is executed")
        })?;
        self.push(Value::Function(function));
        Ok(())
    }

    fn call(&mut self) -> Done {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Tuple(arguments), Value::Function(function)) = (&self.values[arguments], &self.values[function])
        else {
            return damaged("it calls what is no function");
        };
        let made = match (function, arguments.as_slice()) {
            (Function::OrderedDict, []) => Value::Dict(Vec::new()),
            (Function::Tensor, [storage, offset, size, stride, ..]) => {
                self.tensor(*storage, *offset, *size, *stride)?
            }
            (Function::Parameter, [same, ..]) | (Function::Size, [same]) => {
                self.stack.push(*same);
                return Ok(());
            }
            _ => return damaged("it calls a function with other arguments than torch.save does"),
        };
        self.push(made);
        Ok(())
    }

    fn tensor(&self, storage: Id, offset: Id, size: Id, stride: Id) -> Done<Value> {
        let (Value::Storage(_), &Value::Int(offset)) = (&self.values[storage], &self.values[offset]) else {
            return damaged("a tensor without a storage");
        };
        let [size, stride] = [self.numbers(size)?, self.numbers(stride)?];
        Ok(Value::Tensor(TensorView { storage, offset, size, stride }))
    }

    fn numbers(&self, id: Id) -> Done<Vec<i64>> {
        let Value::Tuple(items) = &self.values[id] else { return damaged("a shape is no tuple") };
        let number = |&id: &Id| match self.values[id] {
            Value::Int(number) => Ok(number),
            _ => damaged("a shape has an entry that is not a number"),
        };
        if items.len() > MAX_SIDES {
            return damaged("a tensor has more than 8 sides");
        }
        items.iter().map(number).collect()
    }

    /// BINPERSID: `('storage', torch.FloatStorage, '0', 'cpu', 24)`.
    fn persistent(&mut self) -> Done {
        let id = self.pop()?;
        let Value::Tuple(parts) = &self.values[id] else { return damaged("a storage is no tuple") };
        let [word, class, entry, _, count] = parts.as_slice() else { return damaged("a storage of other parts") };
        match [word, class, entry, count].map(|&id| &self.values[id]) {
            [Value::Text(word), Value::Function(Function::Storage(kind)), Value::Text(entry), Value::Int(count)]
                if word == "storage" && entry.len() <= MAX_NAME =>
            {
                let storage = Storage { kind, entry: entry.clone(), count: *count };
                self.push(Value::Storage(storage));
                Ok(())
            }
            _ => damaged("a storage of other parts"),
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Done {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(list) => list.extend(items),
            _ => return damaged("it appends to what is no list"),
        }
        Ok(())
    }

    fn set(&mut self, items: Vec<Id>) -> Done {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::Dict(dict) => dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => return damaged("it sets keys of what is no dictionary"),
        }
        Ok(())
    }
}
