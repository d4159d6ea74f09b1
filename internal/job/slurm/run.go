package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/sandbox"
)

const (
	// patience is how long one question may take: Slurm's programs try for a
	// while when its controller does not answer.
	patience = time.Minute

	// maxAnswer bounds what is read of an answer, the tables of a large cluster.
	maxAnswer = 64 << 20
)

// What a shell says before and after the answer: a login shell may be chatty.
const (
	beginMark = "ml-intern: begin"
	endMark   = "ml-intern: end "
)

// errNoAnswer means that nobody knows whether, and how far, a script has run.
var errNoAnswer = errors.New("no answer")

// A refusal is a script that ran and failed.
type refusal struct {
	code      int
	complaint string
}

func (r *refusal) Error() string { return r.complaint }

// run runs a shell script where Slurm is and returns what it said. The script
// goes through standard input, so that nothing in it is seen by ps. An error is
// a *refusal, or wraps errNoAnswer.
func (b *Backend) run(ctx context.Context, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	argv := []string{"sh"}
	prelude := ""
	if b.Host != "" {
		argv, prelude = b.ssh(), cleanEnviron
	}
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.WaitDelay = time.Second // a child of the shell may hold the pipes
	c.Env = b.environ()
	c.Stdin = strings.NewReader(fmt.Sprintf("echo '%s'\n(\n%s%s\n) </dev/null\nprintf '\\n%s%%d\\n' $?\n", beginMark, prelude, script, endMark))
	var out, complaints bounded
	c.Stdout, c.Stderr = &out, &complaints
	err := c.Run()
	complaint := strings.TrimSpace(strings.ToValidUTF8(complaints.String(), "\uFFFD"))
	text, code, ok := answer(out.String())
	switch {
	case !ok && ctx.Err() != nil:
		return "", fmt.Errorf("%w: %w", errNoAnswer, context.Cause(ctx))
	case !ok:
		return "", fmt.Errorf("%w: %s", errNoAnswer, clip(complaint+" ("+fmt.Sprint(err)+")", 500))
	case code != 0:
		return text, &refusal{code: code, complaint: clip(complained(complaint, code), 500)}
	}
	return text, nil
}

// complained is what a program complained of, or that it failed.
func complained(complaint string, code any) string {
	if words := strings.Fields(complaint); len(words) > 0 {
		return strings.Join(words, " ")
	}
	return fmt.Sprintf("it failed with exit code %v and did not say why", code)
}

// answer is what was said between the marks.
func answer(out string) (text string, code int, ok bool) {
	_, out, ok = strings.Cut("\n"+out, "\n"+beginMark+"\n")
	end := strings.LastIndex("\n"+out, "\n"+endMark)
	if !ok || end < 0 {
		return "", 0, false
	}
	if _, err := fmt.Sscanf(out[end:], endMark+"%d\n", &code); err != nil {
		return "", 0, false
	}
	return strings.TrimSuffix(out[:end], "\n"), code, true
}

// bounded keeps the beginning of what is written.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	_, err := b.Buffer.Write(p[:min(len(p), maxAnswer-min(b.Len(), maxAnswer))])
	return len(p), err
}

// ssh is the command line that runs a shell on the host. One connection serves
// all questions; nobody is there to be asked for a password.
func (b *Backend) ssh() []string {
	argv := b.SSH
	if len(argv) == 0 {
		argv = []string{"ssh"}
	}
	argv = append(slices.Clone(argv), "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-T")
	if path := controlPath(); path != "" {
		argv = append(argv, "-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "ControlPath="+path)
	}
	return append(argv, "--", b.Host, "sh")
}

// controlPath is the socket of the kept connection, "" where there can be none:
// Windows has none, and a path may be too long for a socket.
func controlPath() string {
	home, err := os.UserHomeDir()
	if err != nil || runtime.GOOS == "windows" || len(home) > 30 {
		return ""
	}
	dir := filepath.Join(home, ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ""
	}
	return filepath.Join(dir, "ml-intern-%C")
}

// environ is what Slurm's programs, and through sbatch the jobs, get of this
// machine's environment; ssh finds its agent.
func (b *Backend) environ() []string {
	kept := sandbox.Environ(b.env())
	for _, pair := range b.env() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "SBATCH_") || name == "SLURM_CONF" || name == "SLURM_CLUSTERS" || b.Host != "" && name == "SSH_AUTH_SOCK" {
			kept = append(kept, pair)
		}
	}
	return kept
}

// cleanEnviron leaves of another machine's environment what sandbox.Environ
// would, as far as it matters there.
const cleanEnviron = `for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
case $name in
PATH|HOME|USER|LOGNAME|SHELL|TERM|LANG|LANGUAGE|LC_*|TMPDIR|LD_LIBRARY_PATH|SBATCH_*|SLURM_CONF|SLURM_CLUSTERS) ;;
XDG_CACHE_HOME|UV_CACHE_DIR|HF_HOME|HF_HUB_CACHE|HF_DATASETS_CACHE|SSL_CERT_*|http_proxy|https_proxy|no_proxy|HTTP_PROXY|HTTPS_PROXY|NO_PROXY) ;;
*) unset "$name" 2>/dev/null || : ;;
esac
done
`

// program is how the shell runs one of Slurm's programs.
func (b *Backend) program(name string) string {
	if b.Bin == "" {
		return name
	}
	return quote(b.Bin + "/" + name)
}

// quote makes text one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// quoteAll quotes the words and joins them.
func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// clip shortens text to n bytes.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-len("…")], "") + "…"
}
