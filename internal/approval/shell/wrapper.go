package shell

import (
	"path"
	"slices"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// A wrapper is a program that runs the command that its arguments hold.
type wrapper struct {
	takes    string   // short options with an argument of their own
	long     []string // long ones, where the argument is the next word
	operands int      // words before the command
	sub      string   // the first operand, without which it runs nothing
	sets     bool     // NAME=VALUE may stand before the command
	script   string   // the short option whose argument is a script
	replaces bool     // -I and -i name a mark that stands for its input
	shell    bool     // without a command it starts a shell
}

// wrappers are the programs that are looked through. One that is missing here
// is taken for a program like any other, which a rule must name.
func wrappers() map[string]wrapper {
	run := wrapper{sub: "run", takes: "pn", long: []string{"--python", "--with", "--project", "--directory", "--env-file", "--extra", "--group", "--name", "--prefix", "--index-url", "--with-requirements"}}
	return map[string]wrapper{
		"env":      {takes: "uC", long: []string{"--unset", "--chdir"}, sets: true, script: "S"},
		"xargs":    {takes: "aEdILnPs", long: []string{"--arg-file", "--delimiter", "--max-args", "--max-procs", "--max-lines", "--max-chars"}, replaces: true},
		"sudo":     {takes: "ugCDhpRrTtU", long: []string{"--user", "--group", "--chdir", "--host", "--prompt", "--chroot", "--role", "--type"}, sets: true, shell: true},
		"doas":     {takes: "uCa", shell: true},
		"nohup":    {},
		"setsid":   {},
		"builtin":  {},
		"command":  {},
		"exec":     {takes: "a"},
		"time":     {takes: "fo", long: []string{"--format", "--output"}},
		"nice":     {takes: "n", long: []string{"--adjustment"}},
		"ionice":   {takes: "cnpPu", long: []string{"--class", "--classdata"}},
		"taskset":  {takes: "", operands: 1},
		"chrt":     {takes: "TPD", operands: 1},
		"prlimit":  {},
		"uvx":      {takes: "pn", long: []string{"--python", "--with", "--from", "--index-url"}},
		"npx":      {takes: "p", long: []string{"--package"}, script: "c"},
		"fakeroot": {takes: "lsib"},
		"numactl":  {takes: "iNmCp", long: []string{"--interleave", "--cpunodebind", "--membind", "--physcpubind"}},
		"timeout":  {takes: "ks", long: []string{"--kill-after", "--signal"}, operands: 1},
		"stdbuf":   {takes: "ioe", long: []string{"--input", "--output", "--error"}},
		"flock":    {takes: "wE", long: []string{"--timeout", "--conflict-exit-code"}, operands: 1, script: "c"},
		"chroot":   {long: []string{"--userspec", "--groups"}, operands: 1, shell: true},
		"unshare":  {takes: "SGRw", long: []string{"--root", "--wd", "--setuid", "--setgid"}, shell: true},
		"nsenter":  {takes: "tSGrw", long: []string{"--target"}, shell: true},
		"setpriv":  {long: []string{"--reuid", "--regid", "--groups", "--inh-caps", "--bounding-set"}},
		"busybox":  {},
		"toybox":   {},
		"strace":   {takes: "eopsuPEaIObSUX"},
		"ltrace":   {takes: "eopsunalAFlwx"},
		"su":       {takes: "gGsw", long: []string{"--shell", "--group"}, operands: 1 << 20, script: "c", shell: true},
		"runuser":  {takes: "gGsw", long: []string{"--shell", "--group"}, operands: 1 << 20, script: "c", shell: true},
		"script":   {takes: "EBIOTmo", operands: 1 << 20, script: "c", shell: true},
		"watch":    {takes: "nq", long: []string{"--interval", "--equexit"}},
		"uv":       run,
		"poetry":   run,
		"pipenv":   run,
		"conda":    run,
	}
}

var (
	assignment = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*\+?=`)
	aliasName  = lazyregexp.New(`^[^=]+=`)
)

// command adds a command and what it runs in turn. Input is what it is given
// to read, if that stands in the line.
func (r *reader) command(words []Word, input *Word, depth int) {
	if len(words) == 0 {
		return
	}
	if depth > maxDepth {
		r.unknown("commands are nested too deeply to be looked through")
		return
	}
	r.add(words)
	if !words[0].Known {
		r.unknown("it runs " + words[0].Text + ", which is not known before it runs")
		return
	}
	name, args := path.Base(words[0].Text), words[1:]
	r.aliased(words[0].Text, args, depth)
	switch name {
	case "sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash":
		r.shell(name, args, input, depth)
	case "fish", "csh", "tcsh", "pwsh", "powershell":
		r.unknown("it runs " + name + ", whose scripts are not understood")
	case "eval":
		r.joined(args, depth)
	case "trap":
		if len(args) > 0 {
			r.joined(args[:1], depth)
		}
	case "alias":
		r.aliases(args, depth)
	case "source", ".":
		if len(args) > 0 && !args[0].Known {
			r.unknown("it runs commands of a file that is not known before it runs")
		}
	case "find":
		r.find(args, depth)
	case "parallel":
		r.unknown("it runs what parallel makes of its input")
	default:
		if how, ok := wrappers()[name]; ok {
			r.wrapped(name, how, args, input, depth)
		}
	}
}

// joined is a script in several words.
func (r *reader) joined(words []Word, depth int) {
	text := make([]string, len(words))
	for i, w := range words {
		if !w.Known {
			r.unknown("it runs a script that is not known before it runs")
			return
		}
		text[i] = w.Text
	}
	r.script(strings.Join(text, " "), depth+1)
}

// aliases looks through the commands that aliases stand for.
func (r *reader) aliases(args []Word, depth int) {
	for _, a := range args {
		if cut := aliasName.FindString(a.Text); cut != "" {
			if strings.Contains(a.Text, "<<") { // shells differ in what they make of it
				r.unknown("an alias stands for a here-document")
			}
			r.joined([]Word{{a.Text[len(cut):], a.Known}}, depth)
			if r.names == nil {
				r.names = map[string]string{}
			}
			r.names[strings.TrimSuffix(cut, "=")] = a.Text[len(cut):]
		}
	}
}

// aliased looks through what an alias of the line stands for together with the
// words behind it. Within its own text a name is the program's.
func (r *reader) aliased(name string, args []Word, depth int) {
	stands, ok := r.names[name]
	if !ok || len(args) == 0 {
		return
	}
	text := stands
	for _, w := range args {
		if w.Known {
			text += " '" + strings.ReplaceAll(w.Text, "'", `'\''`) + "'"
		} else {
			text += ` "$x"`
		}
	}
	delete(r.names, name)
	r.script(text, depth+1)
	r.names[name] = stands
}

// shell looks through a script that a shell is given: after -c, or as its
// input. A script in a file is opaque.
func (r *reader) shell(name string, args []Word, input *Word, depth int) {
	script, stdin := false, false
	for i := 0; i < len(args); i++ {
		switch w := args[i]; {
		case !w.Known:
			r.unknown("what " + name + " runs is not known before it runs")
			return
		case w.Text == "--" || w.Text == "-":
			i++
			r.shellScript(name, args[min(i, len(args)):], script, stdin, input, depth)
			return
		case w.Text == "--rcfile" || w.Text == "--init-file":
			r.unknown("it starts " + name + " with a file of commands")
			i++
		case strings.HasPrefix(w.Text, "--"):
		case len(w.Text) > 1 && (w.Text[0] == '-' || w.Text[0] == '+'):
			script = script || w.Text[0] == '-' && strings.Contains(w.Text, "c")
			stdin = stdin || w.Text[0] == '-' && strings.Contains(w.Text, "s")
			if strings.ContainsAny(w.Text, "oO") {
				i++
			}
		default:
			r.shellScript(name, args[i:], script, stdin, input, depth)
			return
		}
	}
	r.shellScript(name, nil, script, stdin, input, depth)
}

func (r *reader) shellScript(name string, operands []Word, script, stdin bool, input *Word, depth int) {
	switch {
	case script && len(operands) > 0:
		r.joined(operands[:1], depth)
	case script:
		r.unknown(name + " lacks its script")
	case len(operands) > 0 && !stdin:
		// a file of commands: only the program is known
	case input != nil:
		r.joined([]Word{*input}, depth)
	default:
		r.unknown(name + " runs what it is given to read")
	}
}

// find looks through the commands that find runs for what it finds.
func (r *reader) find(args []Word, depth int) {
	for i := 0; i < len(args); i++ {
		switch w := args[i]; {
		case !w.Known && args[i].Text != "{}":
			r.unknown("what find does is not known before it runs")
		case slices.Contains([]string{"-exec", "-execdir", "-ok", "-okdir"}, w.Text):
			end := i + 1
			for end < len(args) && args[end].Text != ";" && args[end].Text != "+" {
				end++
			}
			r.command(replaced(args[i+1:end], "{}"), nil, depth+1)
			i = end
		case strings.HasPrefix(w.Text, "-fprint") || w.Text == "-fls":
			if i++; i < len(args) {
				r.line.Writes = append(r.line.Writes, args[i])
			}
		}
	}
}

// replaced marks the words in which something else will stand as unknown.
func replaced(words []Word, mark string) []Word {
	out := slices.Clone(words)
	for i, w := range out {
		out[i].Known = (w.Known || w.Text == mark) && !strings.Contains(w.Text, mark)
	}
	return out
}

// wrapped looks through the command that a wrapper runs.
func (r *reader) wrapped(name string, how wrapper, args []Word, input *Word, depth int) {
	operands, mark := how.operands, ""
	for i := 0; i < len(args); i++ {
		w := args[i]
		switch {
		case !w.Known:
			r.unknown("what " + name + " runs is not known before it runs")
			return
		case w.Text == "--":
			r.rest(name, how, args[min(i+1+operands, len(args)):], mark, input, depth)
			return
		case strings.HasPrefix(w.Text, "--"):
			if script, ok := longScript(how, args[i:]); ok {
				r.given(how, script, depth)
				return
			}
			if w.Text == "--replace" {
				mark = "{}"
			}
			if slices.Contains(how.long, w.Text) {
				i++
			}
		case len(w.Text) > 1 && w.Text[0] == '-':
			var done bool
			if i, done = r.option(how, args, i, &mark, depth); done {
				return
			}
		case how.sets && assignment.MatchString(w.Text):
			variable, _, _ := strings.Cut(w.Text, "=")
			r.line.Sets = append(r.line.Sets, variable)
		case how.sub != "":
			if w.Text != how.sub {
				return
			}
			how.sub = ""
		case operands > 0:
			operands--
		default:
			r.rest(name, how, args[i:], mark, input, depth)
			return
		}
	}
	r.rest(name, how, nil, mark, input, depth)
}

// longScript is the script of a long option, if the words begin with one.
func longScript(how wrapper, words []Word) ([]Word, bool) {
	option, value, joined := strings.Cut(words[0].Text, "=")
	if how.script == "" || option != "--split-string" && option != "--command" {
		return nil, false
	}
	script := words[1:]
	if joined {
		script = append([]Word{{value, true}}, script...)
	}
	return script, true
}

// given is what a wrapper runs that takes a script in one word. Env takes the
// beginning of a command there, and the words behind it as they are.
func (r *reader) given(how wrapper, words []Word, depth int) {
	switch {
	case len(words) == 0:
	case how.script != "S":
		r.joined(words[:1], depth)
	case !words[0].Known || strings.ContainsAny(words[0].Text, "\"'\\$#"):
		r.unknown("what env runs is not known before it runs")
	default:
		var all []Word
		for field := range strings.FieldsSeq(words[0].Text) {
			all = append(all, Word{field, true})
		}
		r.wrapped("env", how, append(all, words[1:]...), nil, depth+1)
	}
}

// option reads a cluster of short options. It returns the place of the last
// word that belongs to it, and whether it held all that is to be run.
func (r *reader) option(how wrapper, args []Word, i int, mark *string, depth int) (at int, done bool) {
	cluster := args[i].Text[1:]
	for j := range len(cluster) {
		letter, rest := cluster[j:j+1], cluster[j+1:]
		switch {
		case letter == how.script:
			words := slices.Clone(args[i+1:])
			if rest != "" {
				words = append([]Word{{rest, true}}, words...)
			}
			r.given(how, words, depth)
			return i, true
		case letter == "i" && how.replaces:
			*mark = "{}"
			if rest != "" {
				*mark = rest
			}
			return i, false
		case strings.Contains(how.takes, letter):
			value := rest
			if rest == "" && i+1 < len(args) {
				i++
				value = args[i].Text
			}
			if letter == "I" {
				*mark = value
			}
			return i, false
		}
	}
	return i, false
}

// rest is the command behind a wrapper's own words.
func (r *reader) rest(name string, how wrapper, words []Word, mark string, input *Word, depth int) {
	switch {
	case how.sub != "":
	case len(words) == 0:
		if how.shell {
			r.unknown(name + " starts a shell, which runs what it is given")
		}
	case name == "watch":
		r.joined(words, depth)
	case name == "xargs" && mark != "":
		r.command(replaced(words, mark), nil, depth+1)
	case name == "xargs": // which adds words of its input
		r.command(append(slices.Clone(words), Word{"…", false}), nil, depth+1)
	default:
		r.command(words, input, depth+1)
	}
}
