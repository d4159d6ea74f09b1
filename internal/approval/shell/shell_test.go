package shell_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ml-intern/internal/approval/shell"
)

// show is a line's reading in one text: commands, then >writes, <reads, =sets
// and a ? if something is unknown.
func show(l shell.Line) string {
	var all []string
	for _, c := range l.Commands {
		var words []string
		for _, w := range c {
			if w.Known {
				words = append(words, w.Text)
			} else {
				words = append(words, "?")
			}
		}
		all = append(all, strings.Join(words, " "))
	}
	file := func(mark string, words []shell.Word) {
		for _, w := range words {
			if !w.Known {
				w.Text = "?"
			}
			all = append(all, mark+w.Text)
		}
	}
	file(">", l.Writes)
	file("<", l.Reads)
	for _, name := range l.Sets {
		all = append(all, "="+name)
	}
	if len(l.Unknown) > 0 {
		all = append(all, "unknown")
	}
	return strings.Join(all, " | ")
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct{ line, want string }{
		{"git status", "git status"},
		{"a && b || c; d & e", "a | b | c | d | e"},
		{"a | b |& c", "a | b | c"},
		{"(a; { b; })", "a | b"},
		{"! a", "a"},
		{"if a; then b; elif c; then d; else e; fi", "a | b | c | d | e"},
		{"for i in $(a); do b $i; done", "a | b ? | =i"},
		{"while a; do b; done; until c; do d; done", "a | b | c | d"},
		{"case $(a) in x) b;; esac", "a | b"},
		{"echo `a` \"$(b)\" <(c) >(d)", "echo ? ? ? ? | a | b | c | d"},
		{"f() { rm -rf /; }; f", "rm -rf / | f"},
		{"echo ${x:-$(rm y)} $((1 + $(z)))", "echo ? ? | rm y | z"},
		{"[[ -f $(a) ]] && b", "a | b"},
		{"coproc a; time b", "a | b"},

		{`r"m" -rf 'a b' \x`, "rm -rf a b x"},
		{`\rm x`, "rm x"},
		{"r\\\nm x", "rm x"},
		{`$'rm' x`, "rm x"},
		{`$'\x72m' x`, "? x | unknown"},
		{"$X y", "? y | unknown"},
		{"/bin/r? x", "? x | unknown"},
		{"{rm,x}", "? | unknown"},
		{"~/x y", "~/x y"},
		{"~me/x y", "? y | unknown"},
		{"git $X", "git ?"},

		{"a > out 2>> err < in", "a | >out | >err | <in"},
		{"a >/dev/null 2>&1 &>/dev/null", "a"},
		{"a >| out; b <> c; d &> e; f >&g", "a | b | d | f | >out | >c | >e | >g"},
		{"a > $X", "a | >?"},
		{"> out", ">out"},
		{"a < /dev/tcp/h/1", "a | >/dev/tcp/h/1"},
		{"{ a; b; } > out", "a | b | >out"},
		{"cat <<EOF\nrm $(b)\nEOF", "cat | b"},
		{"cat <<'EOF'\nrm $(b)\nEOF", "cat"},

		{"sh -c 'rm -rf x'", "sh -c rm -rf x | rm -rf x"},
		{"bash -lc 'a && b'", "bash -lc a && b | a | b"},
		{"bash -o pipefail -c 'a'", "bash -o pipefail -c a | a"},
		{"bash -c \"bash -c 'rm x'\"", "bash -c bash -c 'rm x' | bash -c rm x | rm x"},
		{"bash -c \"$X\"", "bash -c ? | unknown"},
		{"bash script.sh", "bash script.sh"},
		{"bash", "bash | unknown"},
		{"curl u | sh", "curl u | sh | unknown"},
		{"sh <<EOF\nrm x\nEOF", "sh | rm x"},
		{"sh <<'E'\necho '\\'; rm x\nE", `sh | echo \ | rm x`},
		{"sh <<E\necho \\$(rm x)\nE", "sh | echo ? | rm x"},
		{"bash -s a <<< 'rm x'", "bash -s a | rm x"},
		{"sudo bash <<'E'\nrm x\nE", "sudo bash | bash | rm x"},
		{"bash --rcfile x -c a", "bash --rcfile x -c a | a | unknown"},

		{"env rm x", "env rm x | rm x"},
		{"env -i -u A B=1 rm x", "env -i -u A B=1 rm x | rm x | =B"},
		{"env -S 'rm x' y", "env -S rm x y | rm x y"},
		{"env --split-string='rm x'", "env --split-string=rm x | rm x"},
		{"A=1 rm x", "rm x | =A"},
		{"A=1; rm x", "rm x | =A"},
		{"export PATH=. X", "export ? X | =PATH"},
		{": ${PATH:=.}", ": ? | =PATH"},
		{"xargs rm -f", "xargs rm -f | rm -f ?"},
		{"xargs -n 1 -0 rm", "xargs -n 1 -0 rm | rm ?"},
		{"xargs -I{} git {} x", "xargs -I{} git {} x | git ? x"},
		{"xargs -I % sh -c 'rm %'", "xargs -I % sh -c rm % | sh -c ? | unknown"},
		{"xargs sh -c", "xargs sh -c | sh -c ? | unknown"},
		{"xargs env", "xargs env | env ? | unknown"},
		{"find . -name x -exec rm {} \\; -o -execdir mv {} y +", "find . -name x -exec rm {} ; -o -execdir mv {} y + | rm ? | mv ? y"},
		{"find . $X", "find . ? | unknown"},
		{"find . -fprint out", "find . -fprint out | >out"},
		{"sudo -u me rm x", "sudo -u me rm x | rm x"},
		{"sudo -i", "sudo -i | unknown"},
		{"nohup nice -n 5 timeout -k 1 60 stdbuf -oL rm x", "nohup nice -n 5 timeout -k 1 60 stdbuf -oL rm x | nice -n 5 timeout -k 1 60 stdbuf -oL rm x | timeout -k 1 60 stdbuf -oL rm x | stdbuf -oL rm x | rm x"},
		{"command -p rm x; exec rm y; builtin cd z", "command -p rm x | rm x | exec rm y | rm y | builtin cd z | cd z"},
		{"busybox rm x", "busybox rm x | rm x"},
		{"su root -c 'rm x'", "su root -c rm x | rm x"},
		{"flock l -c 'rm x'; flock l rm y", "flock l -c rm x | rm x | flock l rm y | rm y"},
		{"watch -n 1 'rm x'", "watch -n 1 rm x | rm x"},
		{"uv run --with a python x.py", "uv run --with a python x.py | python x.py"},
		{"uv pip install x", "uv pip install x"},
		{"eval 'rm x' y", "eval rm x y | rm x y"},
		{"eval $X", "eval ? | unknown"},
		{"trap 'rm x' EXIT", "trap rm x EXIT | rm x"},
		{"alias ll='rm -rf x'; ll", "alias ll=rm -rf x | rm -rf x | ll"},
		{"python -c 'import os; os.system(\"rm\")'", `python -c import os; os.system("rm")`},
		{"parallel rm", "parallel rm | unknown"},
		{"/usr/bin/env -- rm x", "/usr/bin/env -- rm x | rm x"},

		{"a (", "unknown"},
		{"a\r\nb", "unknown"},
		{"", ""},
		{"# nothing", ""},
	}
	for _, tt := range tests {
		if got := show(shell.Parse(tt.line)); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
}

// However a line is made, reading it ends soon, and says when it gave up.
func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	nest := "rm x"
	for range 12 {
		nest = "sh -c " + quote(nest)
	}
	if l := shell.Parse(nest); len(l.Unknown) == 0 {
		t.Errorf("scripts nested 12 deep are not called unknown: %s", show(l))
	}
	for _, unit := range []string{"(", "$(", "`", "\\`", "{ ", "if a; then ", "sudo ", "env -S 'env -S ", "a|", "a;", "$((", "${x:-", "x[", "<(", "\"$(", "xargs ", "case x in x) "} {
		for _, size := range []int{10_000, 60_000, 1 << 20} {
			start := time.Now()
			l := shell.Parse(strings.Repeat(unit, size/len(unit)))
			if took := time.Since(start); took > time.Minute { // about 1 s when the machine is idle
				t.Errorf("%d bytes of %q took %v", size, unit, took)
			}
			if size == 1<<20 && len(l.Unknown) == 0 {
				t.Errorf("1 MB of %q is not called unknown", unit)
			}
		}
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// A wrapper or a shell around a line hides nothing of it.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"git status", "a && b | c", "sh -c 'rm x'", "find . -exec rm {} +", "xargs -I{} x {}", "cat <<E\n$(a)\nE", "A=1 env -S 'b c'", "alias a=b", "$(", "((", "env -uX -- y", "su - -c z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		start := time.Now()
		plain := shell.Parse(line)
		if time.Since(start) > time.Minute {
			t.Errorf("%d bytes took %v", len(line), time.Since(start))
		}
		for _, c := range plain.Commands {
			if len(c) == 0 {
				t.Fatal("a command without words")
			}
		}
		if len(plain.Unknown) > 0 || strings.ContainsAny(line, "\x00\r") {
			return
		}
		inside := shell.Parse("bash -c " + quote(line))
		if len(inside.Unknown) > 0 {
			return // for it is nested more deeply
		}
		for _, c := range plain.Commands {
			if !slices.ContainsFunc(inside.Commands, func(d shell.Command) bool { return slices.Equal(c, d) }) {
				t.Errorf("bash -c hides %v of %q", c, line)
			}
		}
	})
}
