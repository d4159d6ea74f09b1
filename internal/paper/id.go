package paper

import (
	"errors"
	"fmt"
	"strings"

	"ml-intern/internal/lazyregexp"
)

// ErrBadID says that a text names no paper of arXiv.
var ErrBadID = errors.New("not an arXiv id")

// An ID names a paper of arXiv, and one version of it where Version is not
// empty.
type ID struct {
	Number  string // 2305.18290 or hep-th/9901001
	Version string // v2, or "" for the newest
}

// String is the id as arXiv writes it, with its version.
func (id ID) String() string { return id.Number + id.Version }

// Page is the address of the paper's page on arXiv.
func (id ID) Page() string { return "https://arxiv.org/abs/" + id.String() }

// The new form has a month, since 2015 with five digits; the old one an
// archive, with the subject class that some people write and arXiv ignores.
var (
	newID = lazyregexp.New(`^(\d{2}(?:0[1-9]|1[0-2])\.\d{4,5})(v[1-9]\d{0,2})?$`)
	oldID = lazyregexp.New(`^([a-z][a-z-]{1,15})(?:\.[a-z]{2})?/(\d{2}(?:0[1-9]|1[0-2])\d{3})(v[1-9]\d{0,2})?$`)
)

// places are what stands before an id in an address or a citation, in lower
// case. Several may follow each other.
var places = []string{
	"https://", "http://", "www.", "export.", "browse.", "de.", "cn.", "alphaxiv.org/", "arxiv.org/", "ar5iv.labs.arxiv.org/", "ar5iv.org/", "huggingface.co/",
	"hf.co/", "dx.doi.org/", "doi.org/", "doi:", "10.48550/", "arxiv.", "arxiv:", "abs/", "pdf/", "html/", "format/", "e-print/", "src/", "papers/", "paper/", "/",
}

// ParseID reads an id in any form that people write: bare, with a version,
// with "arXiv:" before it, as a DOI, or as an address of arXiv, ar5iv or the
// Hub.
func ParseID(text string) (ID, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	s, _, _ = strings.Cut(s, "#")
	s, _, _ = strings.Cut(s, "?")
	for cut := true; cut; {
		cut = false
		for _, place := range places {
			if rest, ok := strings.CutPrefix(s, place); ok {
				s, cut = strings.TrimLeft(rest, " "), true
			}
		}
	}
	s, _, _ = strings.Cut(s, " [") // "2305.18290 [cs.LG]"
	s = strings.TrimSuffix(strings.TrimRight(s, "/.,;)"), ".pdf")
	s = strings.TrimSuffix(s, ".md")
	if m := newID.FindStringSubmatch(s); m != nil {
		return ID{Number: m[1], Version: m[2]}, nil
	}
	if m := oldID.FindStringSubmatch(s); m != nil {
		return ID{Number: m[1] + "/" + m[2], Version: m[3]}, nil
	}
	return ID{}, fmt.Errorf("%q is %w: such as 2305.18290, hep-th/9901001 or an arxiv.org address; find a paper by its title with search", short(text, 100), ErrBadID)
}

// short cuts a text for people at a limit of bytes.
func short(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	return strings.TrimRight(strings.ToValidUTF8(text[:limit], ""), " ") + "…"
}
