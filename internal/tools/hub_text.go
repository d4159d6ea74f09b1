package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ml-intern/internal/hub"
	hubcard "ml-intern/internal/hub/card"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/secret"
)

// Why a download of a text ends early.
var (
	errEnough = errors.New("enough was read")
	errBinary = errors.New("the file is not text")
)

// lines keeps the wanted lines of what is written to it, and then refuses
// more.
type lines struct {
	first, limit int // from 0
	seen         int // lines that ended
	bytes        int64
	line         []byte // that has not ended, cut
	cut          int    // bytes of it that were left out
	kept         strings.Builder
}

func newLines(offset, limit int) *lines {
	if limit <= 0 || limit > maxReadLines {
		limit = maxReadLines
	}
	return &lines{first: max(offset-1, 0), limit: limit}
}

func (l *lines) Write(p []byte) (int, error) {
	if l.bytes < 8000 && bytes.IndexByte(p[:min(len(p), 8000)], 0) >= 0 {
		return 0, errBinary
	}
	if l.bytes += int64(len(p)); l.bytes > maxRemoteRead {
		return 0, errEnough
	}
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		room := max(maxLineBytes-len(l.line), 0)
		l.line = append(l.line, part[:min(len(part), room)]...)
		l.cut += max(len(part)-room, 0)
		if rest = after; !ended {
			break
		}
		if l.end(); l.seen == l.first+l.limit {
			return 0, errEnough
		}
	}
	return len(p), nil
}

// end ends a line.
func (l *lines) end() {
	if l.seen >= l.first {
		fmt.Fprintf(&l.kept, "%6d\t%s", l.seen+1, sandbox.Printable(bytes.TrimSuffix(l.line, []byte("\r"))))
		if l.cut > 0 {
			fmt.Fprintf(&l.kept, " [… %d bytes more]", l.cut)
		}
		l.kept.WriteByte('\n')
	}
	l.seen++
	l.line, l.cut = l.line[:0], 0
}

// text is what was kept. If there is more in the file, it says how to go on.
func (l *lines) text(more bool) string {
	if len(l.line) > 0 && !more {
		l.end()
	}
	switch {
	case l.bytes > maxRemoteRead:
		return l.kept.String() + fmt.Sprintf("[%s were looked through; fetch the file with hub_download to see more]\n", bytesOf(maxRemoteRead))
	case more:
		return l.kept.String() + fmt.Sprintf("[go on with offset %d]\n", l.seen+1)
	case l.seen == 0:
		return "[the file is empty]"
	case l.kept.Len() == 0:
		return fmt.Sprintf("[the file has %d lines, none from %d on]", l.seen, l.first+1)
	}
	return l.kept.String()
}

// localFiles are the files at a path of the workspace: one, or those of a folder.
// They are known by their true names, so that a link that changes later leads
// nowhere else. What may not be read is an error.
func localFiles(sb disk, abs string) (list []hub.File, isFolder bool, err error) {
	root, _ := sb.Resolve(".")
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, false, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, false, errors.New("there is no such file or folder")
	}
	if info.IsDir() {
		list, err = hub.Folder(abs)
	} else {
		list = []hub.File{{Path: filepath.Base(abs), Local: abs}}
	}
	if err == nil && len(list) == 0 {
		err = errors.New("the folder is empty")
	}
	for i := range list {
		if err == nil {
			list[i].Root = root
			list[i].Local, err = mayRead(sb, list[i].Local)
		}
	}
	return list, info.IsDir(), err
}

// mayRead returns the true name of a file.
func mayRead(sb disk, path string) (string, error) {
	f, err := sb.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return filepath.EvalSymlinks(path)
}

// secretIn says what in the files must not leave this machine, "" for nothing.
func secretIn(list []hub.File) (string, error) {
	for _, f := range list {
		if secret.File(f.Path) || secret.File(filepath.ToSlash(f.Local)) {
			return f.Path + " is a file of secrets by its name", nil
		}
		found, err := holdsKey(f)
		if err != nil {
			return "", fmt.Errorf("look for keys in %s: %w", f.Path, err)
		}
		if found {
			return f.Path + " holds what looks like a key", nil
		}
	}
	return "", nil
}

func holdsKey(f hub.File) (bool, error) {
	file, err := f.Open()
	if err != nil {
		return false, err
	}
	defer file.Close()
	return secret.In(file)
}

// explain adds to a failure what the model can do about it: a repository that
// is not there is often one with another name.
func explain(ctx context.Context, c *hub.Client, repo hub.RepoID, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, hub.ErrGated):
		return fmt.Errorf("%w; the person must ask for access at %s", err, c.RepoURL(repo))
	case !errors.Is(err, hub.ErrNotFound):
		return err
	}
	if _, gone := c.RepoInfo(ctx, repo, ""); gone == nil {
		return err // the repository is there, a file or revision of it is not
	}
	if near := nearby(ctx, c, repo); len(near) > 0 {
		return fmt.Errorf("%w; there are: %s", err, strings.Join(near, ", "))
	}
	return fmt.Errorf("%w; find its name with hub_search: a private one is seen by its owners alone", err)
}

// nearby lists repositories that may be meant: those with the name in theirs,
// those of the owner that are called almost so, and one of another type.
func nearby(ctx context.Context, c *hub.Client, repo hub.RepoID) []string {
	var names []string
	for info, err := range c.Search(ctx, hub.SearchOptions{Type: repo.Type, Search: repo.Name, Sort: "downloads", Limit: 5}) {
		if err != nil {
			break
		}
		names = append(names, info.ID)
	}
	if len(names) == 0 && repo.Namespace != "" {
		for info, err := range c.Search(ctx, hub.SearchOptions{Type: repo.Type, Author: repo.Namespace, Limit: 100}) {
			if err != nil {
				break
			}
			if _, name, _ := strings.Cut(info.ID, "/"); hubcard.Distance(name, repo.Name, 2) <= 2 && len(names) < 5 {
				names = append(names, info.ID)
			}
		}
	}
	for _, typ := range []hub.RepoType{hub.Model, hub.Dataset, hub.Space} {
		other := repo
		if other.Type = typ; typ == repo.Type {
			continue
		}
		if ok, err := c.RepoExists(ctx, other); ok && err == nil {
			names = append(names, fmt.Sprintf("%s, which is a %s", repo, typ))
		}
	}
	return names
}
