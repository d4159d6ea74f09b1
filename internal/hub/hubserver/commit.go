package hubserver

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

const (
	maxCommitLine = 16 << 20 // a regular file in base64, with its path
	maxCommitBody = 2 << 30
	maxChanges    = 50_000
)

// commit makes a commit of the lines of the body, on a branch or as a new pull
// request.
func (s *Server) commit(c *repoCall) error {
	target, err := s.committed(c)
	if err != nil {
		return err
	}
	b := s.store.Batch()
	defer b.Discard()
	in := &commitReader{batch: b, repo: c.repo, author: c.who.Name}
	spec, err := in.read(http.MaxBytesReader(c, c.Body, maxCommitBody))
	if err != nil {
		return err
	}
	out := map[string]any{"success": true, "hookOutput": ""}
	may, done := s.mayName(c)
	defer done()
	spec.MayName = may
	ctx, cancel := c.detached()
	defer cancel()
	var commit gitstore.Commit
	if target.create {
		var num int
		num, commit, err = s.commitAsPull(ctx, c, target.ref, spec, b)
		out["pullRequestUrl"] = c.base() + "/" + c.repo.Path() + "/discussions/" + strconv.Itoa(num)
	} else {
		spec.Ref = target.ref
		spec.Allowed = func(repo *gitstore.Repo) error { return s.mayUpdate(c.exchange, repo, target.ref) }
		commit, err = s.store.Commit(ctx, c.repo.RepoID, spec, b)
	}
	if err != nil {
		return err
	}
	out["commitOid"], out["commitUrl"] = commit.ID, c.base()+"/"+c.repo.Path()+"/commit/"+commit.ID
	return s.ok(c.exchange, out)
}

// branch is the full name of a branch that can be committed to.
func (s *Server) branch(repo *gitstore.Repo, rev string) (string, error) {
	for _, ref := range []string{rev, "refs/heads/" + rev} {
		if _, ok := repo.Refs[ref]; ok && !strings.HasPrefix(ref, "refs/tags/") {
			return ref, nil
		}
	}
	return "", fmt.Errorf("branch %s: %w", rev, gitstore.ErrNoRevision)
}

// A commitReader reads the lines of a commit. Content goes to the batch line
// by line, so memory holds one file at a time.
type commitReader struct {
	batch  *gitstore.Batch
	repo   *gitstore.Repo
	author string
	spec   gitstore.CommitSpec
	header bool

	content []byte // of the line, in base64, if that is not in the line's value
	plain   []byte // used again for each file
}

type commitLine struct {
	Key   string `json:"key"`
	Value struct {
		Summary     string  `json:"summary"`
		Description string  `json:"description"`
		Parent      string  `json:"parentCommit"`
		Path        string  `json:"path"`
		Content     *string `json:"content"`
		Encoding    string  `json:"encoding"`
		OldPath     string  `json:"oldPath"`
		Algo        string  `json:"algo"`
		OID         string  `json:"oid"`
		Size        *int64  `json:"size"`
	} `json:"value"`
}

func (r *commitReader) read(body io.Reader) (gitstore.CommitSpec, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 64<<10), maxCommitLine)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		line, content, err := parseLine(text)
		if err != nil {
			return r.spec, badRequest(fmt.Sprintf("line %d of the commit is not what is expected: %v", n, err))
		}
		r.content = content
		if err := r.line(line); err != nil {
			return r.spec, err
		}
		if len(r.spec.Changes) > maxChanges {
			return r.spec, refuse(http.StatusRequestEntityTooLarge, "TooLarge", fmt.Sprintf("a commit has at most %d changes", maxChanges))
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return r.spec, refuse(http.StatusRequestEntityTooLarge, "TooLarge", "a line of the commit is too long: send files over 10 MiB as large files")
	} else if err != nil {
		return r.spec, fmt.Errorf("read commit: %w", err)
	}
	if !r.header {
		return r.spec, badRequest("the commit has no header")
	}
	return r.spec, nil
}

func (r *commitReader) line(line commitLine) error {
	v := line.Value
	ch := gitstore.Change{Path: v.Path}
	switch line.Key {
	case "header":
		if r.header {
			return badRequest("the commit has two headers")
		}
		r.header = true
		r.spec.Author, r.spec.Parent = r.author, v.Parent
		r.spec.Message = message(v.Summary, v.Description)
		if v.Parent != "" && len(v.Parent) < 7 {
			return badRequest("parentCommit is too short")
		}
		return nil
	case "file":
		return r.file(line)
	case "lfsFile":
		if v.OldPath != "" {
			ch.Source = v.OldPath
			break
		}
		if v.Algo != "" && v.Algo != "sha256" || !isSHA256(v.OID) {
			return badRequest(v.Path + ": a large file is named by its sha256")
		}
		ch.Large = &gitstore.Large{OID: v.OID, Size: -1}
		if v.Size != nil {
			ch.Large.Size = max(*v.Size, 0)
		}
	case "deletedFile":
		ch.Delete = gitstore.AFile
	case "deletedFolder":
		ch.Delete = gitstore.AFolder
	case "deletedEntry":
		ch.Delete = gitstore.Any
	default:
		return badRequest(fmt.Sprintf("a commit has no lines with the key %q", line.Key))
	}
	return r.add(ch)
}

// add checks a path before anything is done for it.
func (r *commitReader) add(ch gitstore.Change) error {
	path := ch.Path
	if ch.Delete != gitstore.Nothing {
		path = strings.TrimSuffix(path, "/")
	}
	if err := hub.CheckPath(path); err != nil {
		return badRequest(err.Error())
	}
	r.spec.Changes = append(r.spec.Changes, ch)
	return nil
}

func (r *commitReader) file(line commitLine) error {
	v := line.Value
	if v.OldPath != "" && v.Content == nil {
		return r.add(gitstore.Change{Path: v.Path, Source: v.OldPath})
	}
	if v.Content == nil {
		return badRequest(v.Path + ": the file has no content")
	}
	data := []byte(*v.Content)
	switch v.Encoding {
	case "", "utf-8":
	case "base64":
		if r.content != nil {
			data = r.content
		}
		var err error
		if data, err = base64.StdEncoding.AppendDecode(r.plain[:0], data); err != nil {
			return badRequest(v.Path + ": the content is not base64")
		}
		r.plain = data
	default:
		return badRequest(fmt.Sprintf("%s: the encoding %q is not known", v.Path, v.Encoding))
	}
	switch {
	case len(data) > maxRegular:
		return badRequest(v.Path + " has more than 10 MiB: send it as a large file (LFS)")
	case len(data) > maxBinary && binary(data[:512]):
		return badRequest(v.Path + " is binary and has more than 1 MiB: send it as a large file (LFS)")
	case v.Path == "README.md":
		if err := checkCard(r.repo.Type, data); err != nil {
			return err
		}
	}
	if err := hub.CheckPath(v.Path); err != nil {
		return badRequest(err.Error())
	}
	oid, err := r.batch.Blob(data)
	if err != nil {
		return err
	}
	return r.add(gitstore.Change{Path: v.Path, Blob: oid})
}

func message(summary, description string) string {
	text := strings.ReplaceAll(strings.TrimSpace(summary), "\n", " ")
	if text == "" {
		text = "Upload files"
	}
	if description = strings.TrimSpace(description); description != "" {
		text += "\n\n" + description
	}
	return strings.ReplaceAll(text, "\x00", "")
}
