//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A use is environment.json of a job's folder.
type use struct {
	Environment string `json:"environment"`
}

// UnusedEnvironments lists the environments that no job which is not over was
// given, and none was for a while.
func (b Backend) UnusedEnvironments(ctx context.Context, unused time.Duration) ([]Environment, error) {
	entries, err := os.ReadDir(filepath.Join(b.Dir, envsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	used, err := b.environmentsInUse(ctx)
	if err != nil {
		return nil, err
	}
	var all []Environment
	for _, e := range entries {
		dir := filepath.Join(b.Dir, envsDir, e.Name())
		info, err := os.Stat(dir + ".lock")
		if !e.IsDir() || err != nil || used[e.Name()] || time.Since(info.ModTime()) < unused {
			continue
		}
		bytes, err := bytesBelow(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, Environment{e.Name(), bytes, info.ModTime()})
	}
	return all, nil
}

// environmentsInUse are those of jobs that are not over.
func (b Backend) environmentsInUse(ctx context.Context) (map[string]bool, error) {
	jobs, err := b.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("see which environments are used: %w", err)
	}
	used := make(map[string]bool)
	for _, s := range jobs {
		var u use
		f := b.folder(s.ID)
		if s.Done() {
			continue
		}
		known, err := f.read(environmentFile, &u)
		if err != nil {
			return nil, err
		}
		if !known && !s.Started.IsZero() && f.has(requirementsFile) { // begun by an earlier version
			return nil, fmt.Errorf("nobody knows which environment job %s uses: wait until it is over", s.ID)
		}
		used[u.Environment] = true
	}
	return used, nil
}

// RemoveEnvironment removes an environment that is still unused. A job that
// comes for it meanwhile waits, and makes it anew.
func (b Backend) RemoveEnvironment(ctx context.Context, name string, unused time.Duration) error {
	if name == "" || strings.ContainsAny(name, "/\\.") {
		return fmt.Errorf("%q is no environment", name)
	}
	envs, err := os.OpenRoot(filepath.Join(b.Dir, envsDir))
	if err != nil {
		return fmt.Errorf("remove environment %s: %w", name, err)
	}
	defer envs.Close()
	path := filepath.Join(b.Dir, envsDir, name)
	held, ok := holdFile(path+".lock", 0)
	if !ok {
		return fmt.Errorf("remove environment %s: a job is being given it", name)
	}
	defer held.Close()
	used, err := b.environmentsInUse(ctx)
	if err != nil {
		return err
	}
	if info, err := held.Stat(); err != nil || used[name] || time.Since(info.ModTime()) < unused {
		return fmt.Errorf("remove environment %s: a job was given it meanwhile", name)
	}
	// In this order: what is removed in part is not whole.
	err = envs.Remove(name + wholeFile)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, envs.RemoveAll(name)); err != nil {
		return fmt.Errorf("remove environment %s: %w", name, err)
	}
	return nil
}
