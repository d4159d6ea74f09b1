package hubserver

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"ml-intern/internal/hub/hubserver/gitstore"
)

// Bounds of a diff: what is larger is named, not shown.
const (
	maxDiffFile = 1 << 20
	maxDiff     = 8 << 20
)

// compare shows what is different between two revisions: base..head, or with
// three dots between head and the last commit that it has in common with base.
func (s *Server) compare(c *repoCall) error {
	spec := strings.Join(c.args, "/")
	base, head, three := strings.Cut(spec, "...")
	if !three {
		var ok bool
		if base, head, ok = strings.Cut(spec, ".."); !ok || base == "" || head == "" {
			return badRequest("what to compare must be like base..head")
		}
	}
	from, err := s.store.Resolve(c.repo, base)
	if err != nil {
		return err
	}
	to, err := s.store.Resolve(c.repo, head)
	if err == nil && three {
		from, err = s.store.MergeBase(from, to)
	}
	if err != nil {
		return err
	}
	text, err := s.diffText(from, to)
	if err != nil {
		return err
	}
	c.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = c.Write([]byte(text)) // a client that is gone cannot be told
	return nil
}

// diffText writes what is different between two commits as git does.
func (s *Server) diffText(from, to gitstore.Commit) (string, error) {
	var out strings.Builder
	for d, err := range s.store.Diff(from, to) {
		if err != nil {
			return "", err
		}
		if out.Len() > maxDiff {
			out.WriteString("# more files differ: the diff is cut here\n")
			break
		}
		if err := s.diffFile(&out, d); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

const noBlob = "0000000000000000000000000000000000000000"

func (s *Server) diffFile(out *strings.Builder, d gitstore.Delta) error {
	old, oldShown, err := s.diffSide(d.Old)
	if err != nil {
		return err
	}
	now, nowShown, err := s.diffSide(d.New)
	if err != nil {
		return err
	}
	oldName, nowName, oldID, nowID := "a/"+d.Path, "b/"+d.Path, d.Old, d.New
	fmt.Fprintf(out, "diff --git %s %s\n", oldName, nowName)
	switch {
	case d.Old == "":
		out.WriteString("new file mode 100644\n")
		oldName, oldID = "/dev/null", noBlob
	case d.New == "":
		out.WriteString("deleted file mode 100644\n")
		nowName, nowID = "/dev/null", noBlob
	}
	fmt.Fprintf(out, "index %s..%s", oldID[:7], nowID[:7])
	if d.Old != "" && d.New != "" {
		out.WriteString(" 100644")
	}
	out.WriteByte('\n')
	if !oldShown || !nowShown {
		fmt.Fprintf(out, "Binary files %s and %s differ\n", oldName, nowName)
		return nil
	}
	out.WriteString(udiff.Unified(oldName, nowName, old, now))
	return nil
}

// diffSide reads one side of a diff. What people cannot read is not shown; of a
// large file the pointer is.
func (s *Server) diffSide(oid string) (text string, shown bool, err error) {
	if oid == "" {
		return "", true, nil
	}
	f, err := s.store.File(oid)
	if err != nil || f.Large == nil && f.Size > maxDiffFile {
		return "", false, err
	}
	data, err := s.store.Blob(oid)
	if err != nil || binary(data) {
		return "", false, err
	}
	return string(data), true, nil
}
