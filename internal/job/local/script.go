package local

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ml-intern/internal/durable"
	"ml-intern/internal/job"
)

// takeCommand decides how a job without a script is run.
func (b Backend) takeCommand(rec *record) (err error) {
	if rec.Requirements, err = b.requirements(rec.Spec, ""); err != nil {
		return err
	}
	rec.Argv, err = commandLine(rec.Spec, rec.Requirements != nil)
	return err
}

// commandLine returns the arguments of a job without a script. A program may be
// one of the environment that is yet to be made.
func commandLine(spec job.Spec, installs bool) ([]string, error) {
	argv := append(append([]string{}, spec.Command...), spec.Args...)
	if strings.ContainsRune(argv[0], filepath.Separator) {
		path := argv[0]
		if !filepath.IsAbs(path) {
			path = filepath.Join(spec.Dir, path)
		}
		if _, err := exec.LookPath(path); err != nil {
			return nil, fmt.Errorf("find the job's program: %w", err)
		}
		argv[0] = path
		return argv, nil
	}
	if _, err := exec.LookPath(argv[0]); err != nil && !installs {
		return nil, fmt.Errorf("find the job's program: %w", err)
	}
	return argv, nil
}

// takeScript copies the job's script to its folder, so that the job runs what
// was submitted, and decides how it is run.
func (b Backend) takeScript(f folder, rec *record) error {
	source, err := job.ReadScript(rec.Spec)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(source)
	rec.ScriptSHA256 = hex.EncodeToString(sum[:])
	rec.ImportDir = filepath.Dir(filepath.Join(rec.Spec.Dir, rec.Spec.Script))

	dir := f.path(scriptDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("copy script: %w", err)
	}
	name := filepath.Base(rec.Spec.Script)
	if err := durable.Replace(filepath.Join(dir, name), source); err != nil {
		return fmt.Errorf("copy script: %w", err)
	}
	metadata, _ := job.Metadata(source)
	if rec.Requirements, err = b.requirements(rec.Spec, metadata); err != nil {
		return fmt.Errorf("run %s: %w", rec.Spec.Script, err)
	}
	python := "python" // that of the environment
	if rec.Requirements == nil {
		if python, err = b.python(rec.Spec.Python); err != nil {
			return fmt.Errorf("run %s: %w", rec.Spec.Script, err)
		}
	}
	// The folder moves when the job is accepted.
	copied := filepath.Join(b.Dir, jobsDir, rec.ID, scriptDir, name)
	rec.Argv = append([]string{python, copied}, rec.Spec.Args...)
	return nil
}

// python returns the machine's own python, of a version if one is asked for.
func (b Backend) python(version string) (string, error) {
	names := []string{cmp.Or(b.Python, "python3"), "python"}
	if version != "" {
		names = []string{"python" + version}
	} else if b.Python != "" {
		names = names[:1]
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no %s on this machine's PATH: install it, or uv", names[0])
}
