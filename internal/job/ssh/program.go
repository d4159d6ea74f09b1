package ssh

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
)

// What a script says of itself, as PEP 723 has it.
var (
	metadata     = lazyregexp.New(`(?m)^# /// script[ \t]*\r?\n(?:#(?: .*)?\r?\n)+# ///[ \t]*\r?$`)
	dependencies = lazyregexp.New(`(?m)^#[ \t]*dependencies[ \t]*=[ \t]*\[(?:[ \t]*\r?\n#)*[ \t]*["']`)
)

// program returns the job's program and arguments: uv for a script that needs
// something, else python.
func (b *Backend) program(spec job.Spec, m machine, l luggage) ([]string, error) {
	if spec.Script == "" {
		return append(slices.Clone(spec.Command), spec.Args...), nil
	}
	block := metadata.Find(l.script)
	needs := len(spec.Dependencies) > 0 || dependencies.Match(block)
	script := append([]string{"./" + l.name}, spec.Args...)
	switch {
	case m.uv != "" && (block != nil || needs || spec.Python != ""):
		run := []string{m.uv, "run", "--no-project", "--quiet"}
		if spec.Python != "" {
			run = append(run, "--python", spec.Python)
		}
		for _, d := range spec.Dependencies {
			run = append(run, "--with", d)
		}
		return append(append(run, "--script"), script...), nil
	case needs:
		return nil, fmt.Errorf("the script has dependencies, which uv installs, and there is no uv on %s: "+
			"install it there, as with `curl -LsSf https://astral.sh/uv/install.sh | sh`", b.Host)
	case spec.Python != "":
		return nil, fmt.Errorf("the job asks for Python %s, which uv finds, and there is no uv on %s", spec.Python, b.Host)
	case m.python == "":
		return nil, fmt.Errorf("there is neither python3 nor uv on the PATH of %s", b.Host)
	}
	return append([]string{m.python}, script...), nil
}

// runText is the shell script that becomes the job's program. Its own settings
// are stronger than the machine's, and the names that the backend promises are
// stronger than both.
func (p plan) runText(id string) string {
	var t strings.Builder
	t.WriteString("export PYTHONUNBUFFERED=1")
	for _, variable := range []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"} {
		fmt.Fprintf(&t, " %s=%d", variable, p.need.cpus)
	}
	t.WriteString("\n")
	for _, variable := range slices.Sorted(maps.Keys(p.spec.Env)) {
		fmt.Fprintf(&t, "export %s=%s\n", variable, quote(p.spec.Env[variable]))
	}
	fmt.Fprintf(&t, "export JOB_ID=%s JOB_ATTEMPT=0 OUTPUT_DIR=\"$PWD/out\"\n", id)
	switch {
	case strings.HasPrefix(p.spec.Checkpoint, "hf://"):
		fmt.Fprintf(&t, "export CHECKPOINT=%s\n", quote(p.spec.Checkpoint))
	case p.spec.Checkpoint != "":
		fmt.Fprintf(&t, "export CHECKPOINT=\"$OUTPUT_DIR/\"%s\n", quote(p.spec.Checkpoint))
	}
	if p.need.gpus > 0 {
		t.WriteString("if [ -s gpus ]; then read -r CUDA_VISIBLE_DEVICES <gpus; export CUDA_VISIBLE_DEVICES; fi\n")
	}
	t.WriteString("cd work || exit\nexec")
	for _, word := range p.run {
		t.WriteString(" " + quote(word))
	}
	return t.String() + "\n"
}

// needText tells the shim what the job may use.
func (p plan) needText() string {
	limit := (p.spec.TimeLimit + time.Second - 1) / time.Second
	return fmt.Sprintf("cpus=%d\ngpus=%d\ngputype=%s\ngpumemory=%d\nmemory=%d\nlimit=%d\n",
		p.need.cpus, p.need.gpus, quote(plain(p.need.gpu)), p.need.gpuMemoryMB, p.need.memoryMB, limit)
}
