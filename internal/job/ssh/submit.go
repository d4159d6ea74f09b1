package ssh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/sandbox"
)

// A plan is a job that could be sent.
type plan struct {
	spec    job.Spec
	need    need
	machine machine
	secrets string // shell text
	luggage luggage
	run     []string // the program and its arguments
}

// Submit implements job.Backend. The job's record is written first; when it is
// sent and the answer is lost, the next Submit of its label sends it again with
// the same ID, and the machine knows whether it has it.
func (b *Backend) Submit(ctx context.Context, spec job.Spec) (job.Status, error) {
	if spec.Label != "" {
		if status, err := b.Find(ctx, spec.Label); !errors.Is(err, job.ErrNotFound) {
			return status, err
		}
	}
	p, err := b.plan(ctx, spec)
	if err != nil {
		return job.Status{}, fmt.Errorf("submit job: %w", err)
	}
	began := time.Now()
	rec, done, err := b.records().Begin(ctx, p.spec)
	if err != nil {
		return job.Status{}, fmt.Errorf("submit job: %w", err)
	}
	defer done()
	if rec.Ref != "" { // another has sent it meanwhile
		return b.status(ctx, rec)
	}
	isNew := !rec.Submitted.Before(began)
	rec, err = b.prepare(rec, p)
	if err != nil {
		return job.Status{}, fmt.Errorf("submit job: %w", err)
	}
	seen, err := b.send(ctx, rec.ID, p)
	var no refusal
	if errors.As(err, &no) && isNew {
		// An older one may have been sent before, and be on its way.
		err = errors.Join(err, b.records().Forget(rec.ID))
	}
	if err != nil {
		return job.Status{}, fmt.Errorf("submit job to %s: %w", b.Host, err)
	}
	return b.update(ctx, rec, seen)
}

// prepare makes the record that of the plan.
func (b *Backend) prepare(rec job.Record, p plan) (job.Record, error) {
	rec.Spec = p.spec
	rec.Kept = map[string]string{keptHardware: p.need.words(p.machine)}
	rec.Last.Hardware, rec.Last.TimeLimit, rec.Last.USDPerHour = rec.Kept[keptHardware], p.spec.TimeLimit, b.USDPerHour
	return rec, b.records().Save(rec)
}

// A refusal is why the machine did not take a job.
type refusal string

func (r refusal) Error() string { return string(r) }

// send sends a job and returns how it is there.
func (b *Backend) send(ctx context.Context, id string, p plan) (sight, error) {
	nonce := strings.ToLower(rand.Text()[:10])
	size := strconv.Itoa(len(p.secrets))
	began := time.Now()
	text, err := b.call(ctx, func(w io.Writer) error {
		if _, err := io.WriteString(w, p.secrets); err != nil {
			return err
		}
		return p.pack(w, id)
	}, "submit", id, nonce, size)
	if err != nil {
		return sight{}, err
	}
	if err := b.state().board.forget(ctx); err != nil {
		return sight{}, err
	}
	if _, rest, _ := strings.Cut(text, "\n"); strings.HasPrefix(rest, "refused ") {
		return sight{}, refusal(strings.TrimSpace(strings.TrimPrefix(rest, "refused ")))
	}
	seen, err := readSights(text, began)
	if err == nil && seen[id].state == "" {
		err = errors.New("it said nothing of the job")
	}
	return seen[id], err
}

// plan says what would be sent, or what keeps the spec from running there.
func (b *Backend) plan(ctx context.Context, spec job.Spec) (plan, error) {
	if err := b.check(spec); err != nil {
		return plan{}, err
	}
	spec.CPUs = max(spec.CPUs, 1)
	if spec.TimeLimit == 0 {
		spec.TimeLimit = defaultTimeLimit
	}
	secrets, err := b.secrets(spec.Secrets)
	if err != nil {
		return plan{}, err
	}
	l, err := pick(spec)
	if err != nil {
		return plan{}, err
	}
	m, err := b.machine(ctx, factsTime)
	if err != nil {
		return plan{}, err
	}
	if len(m.lacks) > 0 {
		return plan{}, fmt.Errorf("%s lacks what jobs need there: %s", b.Host, strings.Join(m.lacks, ", "))
	}
	n, err := b.choose(m, spec)
	if err != nil {
		return plan{}, fmt.Errorf("%s: %w", b.Host, err)
	}
	run, err := b.program(spec, m, l)
	if err != nil {
		return plan{}, err
	}
	return plan{spec, n, m, secrets, l, run}, nil
}

// name is what a shell takes as a variable.
var name = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// check says what is wrong with the spec, without asking the machine.
func (b *Backend) check(spec job.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if b.Host == "" || strings.HasPrefix(b.Host, "-") || !filepath.IsAbs(b.Dir) {
		return errors.New("the ssh backend needs a Host and an absolute Dir")
	}
	if strings.HasPrefix(b.farDir(), "~") || strings.ContainsAny(b.farDir(), "'\\!\"$`\n") {
		return fmt.Errorf("the folder %q on %s has to be a plain path, absolute or from the home folder there", b.farDir(), b.Host)
	}
	for variable := range spec.Env {
		if sandbox.SecretName(variable) {
			return fmt.Errorf("%s looks like a secret: what a job is given is kept on disk, so it is not accepted; name it in secrets", variable)
		}
		if !name.MatchString(variable) {
			return fmt.Errorf("%q is no variable that a shell can set", variable)
		}
	}
	info, err := os.Stat(spec.Dir)
	if err != nil {
		return fmt.Errorf("open the job's folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", spec.Dir)
	}
	return nil
}

// secrets is shell text that sets the job's secrets.
func (b *Backend) secrets(names []string) (string, error) {
	var text strings.Builder
	for _, variable := range names {
		value, ok := b.secret(variable)
		switch {
		case !name.MatchString(variable):
			return "", fmt.Errorf("%q is no variable that a shell can set", variable)
		case !ok || value == "":
			return "", fmt.Errorf("the job needs the secret %s, which is not set here, or none of job_secrets in the configuration", variable)
		case strings.ContainsRune(value, 0):
			return "", fmt.Errorf("the secret %s holds a NUL byte, which no variable can", variable)
		}
		fmt.Fprintf(&text, "export %s=%s\n", variable, quote(value))
	}
	return text.String(), nil
}

// quote makes text one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
