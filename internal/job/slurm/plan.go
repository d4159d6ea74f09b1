package slurm

import (
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ml-intern/internal/job"
	"ml-intern/internal/lazyregexp"
	"ml-intern/internal/sandbox"
)

//go:embed batch.sh
var batchScript string

//go:embed mask.py
var maskScript string

// A plan is what a spec comes to here.
type plan struct {
	part    partition
	limit   time.Duration
	gpus    int
	secrets map[string]string
	source  []byte // of the script
}

// plan says how a job will run, or what keeps it from running.
func (b *Backend) plan(ctx context.Context, spec job.Spec) (p plan, err error) {
	if err := b.check(spec); err != nil {
		return p, err
	}
	if p.secrets, err = b.secrets(spec); err != nil {
		return p, err
	}
	if spec.Script != "" {
		if p.source, err = job.ReadScript(spec); err != nil {
			return p, err
		}
	}
	if p.part, err = b.choose(ctx, spec); err != nil {
		return p, err
	}
	p.limit = b.limit(spec.TimeLimit, p.part)
	p.gpus = spec.GPUs
	if p.gpus == 0 && (spec.GPU != "" || spec.GPUMemoryMB > 0 || spec.Flavor != "" && p.part.GPUs > 0) {
		p.gpus = 1
	}
	if p.gpus > p.part.GPUs {
		return p, fmt.Errorf("the job asks for %d GPUs, and a node of %s has %d", p.gpus, p.part.Flavor, p.part.GPUs)
	}
	return p, nil
}

// on is the record of a job with what is planned.
func (p plan) on(rec job.Record, spec job.Spec) job.Record {
	rec.Spec = spec
	rec.Last.TimeLimit, rec.Last.USDPerHour, rec.Last.Retries = p.limit, p.part.USDPerHour, spec.Retries
	rec.Last.Hardware = fmt.Sprintf("partition %s, CPUs: %d", p.part.name, max(spec.CPUs, 1))
	if p.gpus > 0 {
		rec.Last.Hardware += fmt.Sprintf(", GPUs: %d %s", p.gpus, p.part.gres)
	}
	if len(p.source) > 0 {
		sum := sha256.Sum256(p.source)
		rec.Last.ScriptSHA256 = hex.EncodeToString(sum[:])
	}
	return rec
}

// check says what keeps the spec from running here, before Slurm is asked.
func (b *Backend) check(spec job.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if !filepath.IsAbs(b.Dir) {
		return errors.New("the slurm backend needs an absolute Dir")
	}
	if spec.Image != "" {
		return fmt.Errorf("this backend runs no container images: put apptainer or enroot with %s into the job's command", spec.Image)
	}
	for name := range spec.Env {
		if sandbox.SecretName(name) {
			return fmt.Errorf("%s looks like a secret: what a job is given is kept on disk, so it is not accepted", name)
		}
		if !identifier(name) {
			return fmt.Errorf("%q is no variable that a shell can set", name)
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

// identifier reports whether a shell can have a variable of that name.
func identifier(name string) bool {
	other := func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}
	return name != "" && (name[0] < '0' || name[0] > '9') && !strings.ContainsFunc(name, other)
}

// batch is what Slurm runs. Slurm keeps it and shows it to whoever may ask, so
// that it has no secret.
func (b *Backend) batch(rec job.Record, p plan) string {
	spec := rec.Spec
	dir, output := quote(spec.Dir), quote(rec.Last.OutputDir)
	if b.Host != "" {
		dir, output = `"$mli_state/`+workDir+`"`, `"$mli_state/`+outputDir+`"`
	}
	return "#!/bin/bash\n" +
		"mli_state=$1\n" +
		"mli_id=" + quote(rec.ID) + "\n" +
		"mli_dir=" + dir + "\n" +
		"mli_output=" + output + "\n" +
		fmt.Sprintf("mli_retries=%d mli_cpus=%d mli_gpus=%d\n", spec.Retries, max(spec.CPUs, 1), p.gpus) +
		"mli_python=" + quote(b.python()) + " mli_query=" + quote(job.GPUQuery) + "\n" +
		"mli_secrets=" + quote(strings.Join(slices.Sorted(maps.Keys(p.secrets)), " ")) + "\n" +
		"mli_setup() {\n:\n" + b.Setup + "\n}\n" +
		"mli_environ() {\n:\n" + environ(spec) + "}\n" +
		"mli_argv=(" + b.argv(spec, p.source) + ")\n" +
		batchScript
}

// environ sets what the spec says. The script's own modules are beside where it
// was, not beside its copy.
func environ(spec job.Spec) string {
	lines := ""
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		lines += "export " + name + "=" + quote(spec.Env[name]) + "\n"
	}
	if spec.Checkpoint != "" {
		lines += "export CHECKPOINT=" + checkpointWord(spec.Checkpoint) + "\n"
	}
	if spec.Script != "" {
		lines += `export PYTHONPATH="$mli_dir"` + quote("/"+path.Dir(filepath.ToSlash(spec.Script))) + `"${PYTHONPATH:+:$PYTHONPATH}"` + "\n"
	}
	return lines
}

// checkpointWord is where the job goes on from: a path is one in OUTPUT_DIR,
// which outlives an attempt.
func checkpointWord(checkpoint string) string {
	if strings.HasPrefix(checkpoint, "hf://") {
		return quote(checkpoint)
	}
	return `"$mli_output"` + quote("/"+filepath.ToSlash(checkpoint))
}

func (b *Backend) python() string { return cmp.Or(b.Python, "python3") }

// metadataBlock is how a script says what it needs (PEP 723).
var metadataBlock = lazyregexp.New(`(?m)^# /// script[ \t]*\r?$`)

// argv is the job's command line in words of a shell: a script that needs
// something is run by uv, any other by python.
func (b *Backend) argv(spec job.Spec, source []byte) string {
	if spec.Script == "" {
		return quoteAll(slices.Concat(spec.Command, spec.Args))
	}
	run := []string{b.python()}
	if metadataBlock.Match(source) || len(spec.Dependencies) > 0 || spec.Python != "" {
		// The workspace's own project must not change what the script gets.
		run = []string{cmp.Or(b.UV, "uv"), "run", "--no-project", "--quiet"}
		if spec.Python != "" {
			run = append(run, "--python", spec.Python)
		}
		for _, d := range spec.Dependencies {
			run = append(run, "--with", d)
		}
		run = append(run, "--script")
	}
	return quoteAll(run) + ` "$mli_state"/` + scriptDir + "/" + quote(filepath.Base(spec.Script)) + " " + quoteAll(spec.Args)
}
