package highlight

import "strings"

// A quote is a way to write a string.
type quote struct {
	open, close string
	escape      byte
	many        bool // goes on over the end of the line
	char        bool // one letter only; else it is no string
}

// A language says what its code is made of.
type language struct {
	line         []string // what begins a comment up to the end of the line
	prefixes     string   // of strings, with spaces around each
	block        [][2]string
	quotes       []quote
	keywords     string
	kinds        string
	constants    string
	letters      string // that words may have beside letters, digits and _
	assign       string // the signs between a name and its value
	keys         bool   // names before these signs are styled
	fold         bool   // upper and lower case are the same
	spaced       bool   // a comment needs a space before it, a key one after it
	dollar       bool   // $NAME is a variable
	at           bool   // @name is a decorator
	hash         bool   // #name at the start of a line is for the preprocessor
	sections     bool   // [name] begins a part
	flags        bool   // -x and --name are flags
	markup, diff bool
}

// known finds a language by any of its names.
func known(name string) *language {
	name = strings.ToLower(strings.TrimSpace(name))
	name, _, _ = strings.Cut(name, " ")
	switch strings.Trim(name, "{}.") {
	case "python", "py", "python3", "pyi", "py3", "ipython", "pycon":
		return python()
	case "go", "golang":
		return golang()
	case "bash", "sh", "shell", "zsh", "shellscript", "sbatch", "slurm":
		return bash(true)
	case "console", "shell-session", "terminal": // what a program says is no code: a quote in it ends with its line
		return bash(false)
	case "json", "jsonl", "jsonc", "json5", "ipynb", "ndjson":
		return json()
	case "yaml", "yml":
		return yaml()
	case "toml":
		return toml()
	case "javascript", "js", "jsx", "mjs", "cjs", "typescript", "ts", "tsx":
		return javascript()
	case "c", "h", "cpp", "c++", "cc", "cxx", "hpp", "hh", "cuda", "cu", "cuh", "hip", "metal":
		return cpp()
	case "rust", "rs":
		return rust()
	case "sql", "sqlite", "postgresql", "postgres", "duckdb", "mysql":
		return sql()
	case "dockerfile", "docker", "containerfile":
		return dockerfile()
	case "ini", "cfg", "conf", "env", "dotenv", "properties", "systemd", "editorconfig":
		return ini()
	case "html", "xml", "svg", "xhtml", "htm", "vue":
		return &language{markup: true}
	case "diff", "patch", "udiff":
		return &language{diff: true}
	}
	return nil
}

func quotes(escape byte, many bool, signs ...string) []quote {
	out := make([]quote, len(signs))
	for i, s := range signs {
		out[i] = quote{open: s, close: s, escape: escape, many: many}
	}
	return out
}

func python() *language {
	return &language{
		line:     []string{"#"},
		prefixes: " r b f u t br rb fr rf tr rt ",
		at:       true,
		quotes:   append(quotes('\\', true, `"""`, "'''"), quotes('\\', false, `"`, "'")...),
		keywords: "and as assert async await break class continue def del elif else except finally for from global if import in is lambda match case nonlocal not or pass raise return try while with yield type",
		kinds: "int float str bool bytes list dict set tuple object complex frozenset bytearray type Exception ValueError TypeError KeyError RuntimeError " +
			"Any Optional Union Callable Iterable Iterator Literal",
		constants: "True False None self cls NotImplemented Ellipsis __name__ __file__",
	}
}

func golang() *language {
	return &language{
		line:      []string{"//"},
		block:     [][2]string{{"/*", "*/"}},
		quotes:    append(quotes('\\', false, `"`, "'"), quotes(0, true, "`")...),
		keywords:  "break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var",
		kinds:     "any bool byte comparable complex64 complex128 error float32 float64 int int8 int16 int32 int64 rune string uint uint8 uint16 uint32 uint64 uintptr",
		constants: "true false nil iota",
	}
}

func bash(many bool) *language {
	return &language{
		line:      []string{"#"},
		spaced:    true,
		dollar:    true,
		flags:     true,
		letters:   "-",
		quotes:    append(quotes('\\', many, `"`), quotes(0, many, "'")...),
		keywords:  "if then else elif fi case esac for select while until do done in function time return break continue export local readonly declare unset set source exec eval trap",
		kinds:     "cd echo printf read test sudo git pip uv python python3 docker curl make srun sbatch squeue torchrun accelerate huggingface-cli hf",
		constants: "true false",
	}
}

func json() *language {
	return &language{
		line:      []string{"//"},
		block:     [][2]string{{"/*", "*/"}},
		quotes:    quotes('\\', false, `"`, "'"),
		keys:      true,
		assign:    ":",
		constants: "true false null NaN Infinity",
	}
}

func yaml() *language {
	return &language{
		line:      []string{"#"},
		spaced:    true,
		quotes:    append(quotes('\\', false, `"`), quotes(0, false, "'")...),
		keys:      true,
		assign:    ":",
		letters:   "-./",
		dollar:    true,
		constants: "true false null yes no on off True False",
	}
}

func toml() *language {
	return &language{
		line:      []string{"#"},
		quotes:    append(append(quotes('\\', true, `"""`), quotes(0, true, "'''")...), append(quotes('\\', false, `"`), quotes(0, false, "'")...)...),
		keys:      true,
		assign:    "=",
		letters:   "-.",
		sections:  true,
		constants: "true false inf nan",
	}
}

func ini() *language {
	return &language{
		line:      []string{"#", ";"},
		spaced:    true,
		quotes:    quotes(0, false, `"`),
		keys:      true,
		assign:    "=:",
		letters:   "-.",
		sections:  true,
		dollar:    true,
		constants: "true false yes no on off",
	}
}

func javascript() *language {
	return &language{
		line:    []string{"//"},
		block:   [][2]string{{"/*", "*/"}},
		quotes:  append(quotes('\\', true, "`"), quotes('\\', false, `"`, "'")...),
		letters: "$",
		at:      true,
		keywords: "abstract as async await break case catch class const continue debugger declare default delete do else enum export extends finally for from function get if implements import in infer " +
			"instanceof interface is keyof let namespace new of override private protected public readonly return satisfies set static super switch throw try type typeof var void while with yield",
		kinds:     "any bigint boolean never number object string symbol unknown Array Map Set Promise Date Error RegExp Record Partial",
		constants: "true false null undefined this NaN Infinity globalThis",
	}
}

func cpp() *language {
	return &language{
		line:     []string{"//"},
		block:    [][2]string{{"/*", "*/"}},
		quotes:   quotes('\\', false, `"`, "'"),
		prefixes: " l u r u8 ",
		hash:     true,
		keywords: "alignas alignof asm auto break case catch class concept const consteval constexpr continue co_await co_return co_yield decltype default delete do else enum explicit export extern for friend goto if inline " +
			"mutable namespace new noexcept operator private protected public register requires restrict return sizeof static static_assert static_cast reinterpret_cast dynamic_cast const_cast struct switch template this " +
			"thread_local throw try typedef typeid typename union using virtual volatile while __global__ __device__ __host__ __shared__ __constant__ __restrict__ __launch_bounds__ __forceinline__ __syncthreads",
		kinds: "void bool char short int long float double signed unsigned size_t ssize_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t half __half __nv_bfloat16 dim3 float2 float4 int2 int4 " +
			"string vector map cudaStream_t cudaError_t wchar_t char8_t FILE",
		constants: "true false NULL nullptr threadIdx blockIdx blockDim gridDim warpSize",
	}
}

func rust() *language {
	return &language{
		line:      []string{"//"},
		block:     [][2]string{{"/*", "*/"}},
		quotes:    append(quotes('\\', true, `"`), quote{open: "'", close: "'", escape: '\\', char: true}),
		prefixes:  " b c ",
		keywords:  "as async await break const continue crate dyn else enum extern fn for if impl in let loop match mod move mut pub ref return static struct super trait type union unsafe use where while yield",
		kinds:     "bool char f16 f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize String Vec Option Result Box Rc Arc HashMap HashSet Cow Cell RefCell Mutex",
		constants: "true false None Some Ok Err self Self",
	}
}

func sql() *language {
	return &language{
		line:   []string{"--"},
		block:  [][2]string{{"/*", "*/"}},
		quotes: quotes(0, false, "'", `"`, "`"),
		fold:   true,
		keywords: "add all alter analyze and any as asc attach begin between by cascade case check column commit constraint copy create cross database default delete desc describe distinct drop else end except exists explain " +
			"filter foreign from full group having if ilike in index inner insert intersect into is join key lateral left like limit natural not offset on or order outer over partition pragma primary qualify references replace returning right " +
			"rollback row rows sample select set show table then to transaction trigger truncate union unique update using vacuum values view when where window with",
		kinds:     "bigint blob boolean char date datetime decimal double float int integer interval json jsonb numeric real serial smallint text time timestamp timestamptz tinyint uuid varchar",
		constants: "true false null current_date current_timestamp",
	}
}

func dockerfile() *language {
	return &language{
		line:     []string{"#"},
		spaced:   true,
		dollar:   true,
		flags:    true,
		letters:  "-",
		quotes:   quotes('\\', false, `"`, "'"),
		keywords: "FROM RUN CMD LABEL EXPOSE ENV ADD COPY ENTRYPOINT VOLUME USER WORKDIR ARG ONBUILD STOPSIGNAL HEALTHCHECK SHELL MAINTAINER AS",
	}
}
