package skill

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/aymanbagabas/go-udiff"
)

// A Repository is where skills are added from, at one commit.
type Repository interface {
	Files(ctx context.Context) ([]File, error)
	// Read returns a file, of which no more than its size needs to be read.
	Read(ctx context.Context, f File) ([]byte, error)
}

// An Offer is a skill in a repository that nobody has read yet.
type Offer struct {
	Name  string // of its folder
	Path  string // of its folder, "" for the root
	Files []File // their paths begin in the repository
}

// Offers finds the skills in a repository called name, wherever a folder has a
// SKILL.md: the layout of huggingface/skills, a repository that is one skill, and
// those of other agents.
func Offers(files []File, name string) []Offer {
	byPath := make(map[string]*Offer)
	for _, f := range files {
		dir := path.Dir(f.Path)
		if path.Clean(f.Path) != f.Path || path.IsAbs(f.Path) {
			continue
		}
		if path.Base(f.Path) != "SKILL.md" || strings.Count(f.Path, "/") > 5 || hiddenDir(dir) {
			continue
		}
		o := &Offer{Name: path.Base(dir), Path: dir}
		if dir == "." {
			o.Name, o.Path = name, ""
		}
		byPath[o.Path] = o
	}
	for _, f := range files {
		if o := owner(byPath, f.Path); o != nil {
			o.Files = append(o.Files, f)
		}
	}
	found := make(map[string]Offer)
	for _, at := range slices.SortedFunc(maps.Keys(byPath), func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "/"), strings.Count(b, "/")), cmp.Compare(preferred(a), preferred(b)), cmp.Compare(a, b))
	}) {
		o := *byPath[at]
		if _, twice := found[o.Name]; !twice && len(o.Files) > 0 {
			found[o.Name] = o
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Offer) int { return cmp.Compare(a.Name, b.Name) })
}

// owner is the skill that a file belongs to. What lies in the folder of a skill is
// that one's, also if it looks like a skill.
func owner(byPath map[string]*Offer, file string) *Offer {
	for i, c := range file {
		if o := byPath[file[:i]]; o != nil && c == '/' && i > 0 {
			return o
		}
	}
	if !strings.HasPrefix(file, ".git") {
		return byPath[""]
	}
	return nil
}

func preferred(dir string) int {
	if strings.HasPrefix(dir, "skills/") {
		return 0
	}
	return 1
}

// hiddenDir reports whether a folder of the path is hidden and not one in which
// agents look for skills.
func hiddenDir(dir string) bool {
	for part := range strings.SplitSeq(dir, "/") {
		if len(part) > 1 && part[0] == '.' && part != ".claude" && part != ".agents" && part != ".ml-intern" {
			return true
		}
	}
	return false
}

// A Fetched is a skill as a repository has it: whole and checked.
type Fetched struct {
	Skill Skill
	Path  string
	Files map[string][]byte // by path in its folder
}

// Fetch reads a skill of a repository. What is too much, or would be a file
// elsewhere, or is not what the repository says, is an error.
func Fetch(ctx context.Context, repo Repository, o Offer) (Fetched, error) {
	out := Fetched{Path: o.Path, Files: make(map[string][]byte)}
	total, folded := int64(0), make(map[string]bool)
	for _, f := range o.Files {
		rel := strings.TrimPrefix(strings.TrimPrefix(f.Path, o.Path), "/")
		if err := checkPath(rel); err != nil {
			return out, fmt.Errorf("fetch the skill %s: %w", o.Name, err)
		}
		fold := strings.ToLower(rel)
		if folded[fold] {
			return out, fmt.Errorf("fetch the skill %s: two of its files are named %q but for upper and lower case", o.Name, rel)
		}
		folded[fold] = true
		if total += f.Size; f.Size < 0 || f.Size > maxFile || total > maxBytes || len(folded) > maxFiles {
			return out, fmt.Errorf("fetch the skill %s: it has more than %d files, %s, or %s in one file", o.Name, maxFiles, bytesOf(maxBytes), bytesOf(maxFile))
		}
	}
	for _, f := range o.Files {
		rel := strings.TrimPrefix(strings.TrimPrefix(f.Path, o.Path), "/")
		data, err := repo.Read(ctx, f)
		if err == nil {
			err = f.check(data)
		}
		if err != nil {
			return out, fmt.Errorf("fetch %s of the skill %s: %w", rel, o.Name, err)
		}
		out.Files[rel] = data
	}
	read, _, err := parse(out.Files["SKILL.md"], o.Name)
	if err != nil {
		return out, fmt.Errorf("read the skill %s: %w", o.Name, err)
	}
	out.Skill = read
	return out, nil
}

// checkPath refuses what is no plain path below a folder on some system.
func checkPath(rel string) error {
	bad := !filepath.IsLocal(filepath.FromSlash(rel)) || path.Clean(rel) != rel || len(rel) > 400 || strings.ContainsAny(rel, "\\:*?\"<>|") || strings.ContainsFunc(rel, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
	for part := range strings.SplitSeq(rel, "/") {
		bad = bad || strings.EqualFold(part, ".git") || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ")
	}
	if bad {
		return fmt.Errorf("%q cannot be a file of a skill", cut(rel, 200))
	}
	return nil
}

// check fails if the bytes are not the file that was listed.
func (f File) check(data []byte) error {
	if int64(len(data)) != f.Size {
		return fmt.Errorf("it has %d bytes, and %d were said", len(data), f.Size)
	}
	var got, want string
	switch {
	case f.SHA256 != "":
		got, want = digest(data), f.SHA256
	case len(f.SHA1) == 2*sha1.Size:
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", len(data))
		h.Write(data)
		got, want = hex.EncodeToString(h.Sum(nil)), f.SHA1
	default:
		return errors.New("the repository does not say what it must be")
	}
	if len(want) != 2*sha256.Size && f.SHA256 != "" || got != want {
		return errors.New("it is not what the repository says it is")
	}
	return nil
}

// A Change is what adding a skill anew would do to one file.
type Change struct {
	Path string `json:"path"`
	Do   string `json:"do"`             // "add", "change" or "delete"
	Diff string `json:"diff,omitempty"` // of texts
}

// maxDiff is how much is shown of what changes in one file, in bytes.
const maxDiff = 64 << 10

// Changes compares the files of a skill that was added, as they are, with those
// that would take their place.
func (s *Store) Changes(name string, pin Pin, fresh map[string][]byte) []Change {
	var all []Change
	old := make(map[string][]byte)
	there := Skill{Dir: s.dir(name, pin)}
	files, _ := there.Files()
	paths := []string{"SKILL.md"}
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	for p := range pin.Files {
		paths = append(paths, p)
	}
	for _, p := range paths {
		if data, err := readIn(there.Dir, filepath.FromSlash(p), maxFile); err == nil {
			old[p] = data
		}
	}
	names := slices.Concat(slices.Collect(maps.Keys(old)), slices.Collect(maps.Keys(fresh)))
	slices.Sort(names)
	for _, p := range slices.Compact(names) {
		before, was := old[p]
		after, is := fresh[p]
		c := Change{Path: p, Do: "change"}
		switch {
		case was && is && string(before) == string(after):
			continue
		case !was:
			c.Do = "add"
		case !is:
			c.Do = "delete"
		}
		if isText(before) && isText(after) {
			c.Diff = udiff.Unified("a/"+p, "b/"+p, string(before), string(after))
			if len(c.Diff) > maxDiff {
				c.Diff = cut(c.Diff, maxDiff) + fmt.Sprintf("\n[%d bytes more]\n", len(c.Diff)-maxDiff)
			}
		}
		all = append(all, c)
	}
	return all
}
