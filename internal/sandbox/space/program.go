package space

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"ml-intern/internal/hub"
)

// programFile is where a Space has the program.
const programFile = "ml-intern"

// checkProgram refuses what would not run in a container without libraries.
func checkProgram(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is no program for Linux: %w", path, err)
	}
	defer func() { _ = f.Close() }() // only read
	if f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("%s is a program for %s, and Spaces run on EM_X86_64", path, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s needs libraries that a Space lacks; build it with CGO_ENABLED=0", path)
		}
	}
	return nil
}

func hash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// template returns the account's Space that has this program and nothing that
// would be built, so it never runs. Sandboxes are copies of it: the program is
// sent once for each version, and the Hub copies the rest.
func (s *Spaces) template(ctx context.Context, owner string, log func(string)) (hub.RepoID, error) {
	path, err := s.Program()
	if err == nil {
		err = checkProgram(path)
	}
	if err != nil {
		return hub.RepoID{}, fmt.Errorf("find the program for the sandbox: %w", err)
	}
	sum, err := hash(path)
	if err != nil {
		return hub.RepoID{}, fmt.Errorf("read the program for the sandbox: %w", err)
	}
	repo := hub.RepoID{Type: hub.Space, Namespace: owner, Name: "ml-intern-server-" + sum[:16]}
	there, err := s.Hub.Stat(ctx, repo, "main", programFile)
	switch {
	case err == nil && there.ETag == sum:
		return repo, nil
	case err != nil && !errors.Is(err, hub.ErrNotFound):
		return repo, err
	}
	log("sending this program to " + repo.String() + ", once for this version")
	if _, err := s.Hub.CreateSpace(ctx, hub.SpaceSpec{Repo: repo, SDK: "docker", Private: true, ExistOK: true}); err != nil {
		return repo, err
	}
	_, err = s.Hub.Upload(ctx, repo, hub.Commit{Message: "The server of ml-intern's sandboxes", Files: []hub.File{{Path: programFile, Local: path}}})
	return repo, err
}
