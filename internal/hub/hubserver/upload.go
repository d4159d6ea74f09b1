package hubserver

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// Limits of what may be kept in git itself.
const (
	maxRegular    = 10 << 20
	maxBinary     = 1 << 20
	maxPreupload  = 1000
	maxLargeFile  = 200 << 30
	maxMultiparts = 1000
)

// preupload tells for each file of a coming commit how to send it, and what
// the repository has there now.
func (s *Server) preupload(c *repoCall) error {
	var in struct {
		Files []struct {
			Path   string `json:"path"`
			Size   int64  `json:"size"`
			Sample string `json:"sample"`
		} `json:"files"`
		Ignore     *string `json:"gitIgnore"`
		Attributes *string `json:"gitAttributes"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	if len(in.Files) > maxPreupload {
		return refuse(http.StatusUnprocessableEntity, "ValidationError", fmt.Sprintf("at most %d files can be asked for", maxPreupload))
	}
	if _, err := s.committed(c); err != nil {
		return err
	}
	commit, err := s.store.Resolve(c.repo, c.args[0])
	if err != nil {
		return err
	}
	attrs, ignore, err := s.rules(commit, in.Attributes, in.Ignore)
	if err != nil {
		return err
	}
	paths := make([]string, len(in.Files))
	for i, f := range in.Files {
		paths[i] = f.Path
	}
	there, err := s.store.Find(commit, paths)
	if err != nil {
		return err
	}
	out := []map[string]any{}
	for _, f := range in.Files {
		sample, err := base64.StdEncoding.DecodeString(f.Sample)
		if err != nil || f.Size < 0 {
			return refuse(http.StatusUnprocessableEntity, "ValidationError", f.Path+": the sample or the size is not valid")
		}
		if err := hub.CheckPath(f.Path); err != nil {
			return badRequest(err.Error())
		}
		v := map[string]any{"path": f.Path, "uploadMode": "regular", "shouldIgnore": ignore.Match(f.Path)}
		if f.Size > 0 && (attrs.Large(f.Path) || f.Size > maxRegular || binary(sample)) {
			v["uploadMode"] = "lfs"
		}
		if e, ok := there[f.Path]; ok && !e.Dir {
			if v["oid"], err = s.contentID(e.OID); err != nil {
				return err
			}
		}
		out = append(out, v)
	}
	return s.ok(c.exchange, map[string]any{"files": out, "commitOid": commit.ID})
}

func (s *Server) rules(commit gitstore.Commit, attributes, ignore *string) (gitstore.Attributes, gitstore.Ignore, error) {
	text := func(given *string, path string) ([]byte, error) {
		if given != nil {
			return []byte(*given), nil
		}
		return s.readFile(commit, path)
	}
	a, err := text(attributes, gitstore.AttributesFile)
	if err != nil {
		return gitstore.Attributes{}, gitstore.Ignore{}, err
	}
	i, err := text(ignore, ".gitignore")
	return gitstore.ParseAttributes(a), gitstore.ParseIgnore(i), err
}

// contentID is the id by which a client knows the content of a blob: git's for
// a regular file, the sha256 of a large one.
func (s *Server) contentID(oid string) (string, error) {
	f, err := s.store.File(oid)
	if err == nil && f.Large != nil {
		return f.Large.OID, nil
	}
	return oid, err
}

func binary(sample []byte) bool { return gitstore.Binary(sample) }

// largeAPI serves the large file protocol of git.
func (s *Server) largeAPI(x *exchange, id hub.RepoID, rest []string) error {
	action := x.Method + " " + strings.Join(rest, "/")
	switch action {
	case "POST info/lfs/objects/batch", "POST info/lfs/objects/verify":
	default:
		return noRoute(x)
	}
	c, err := s.repoCall(x, id, see)
	if err != nil {
		return err
	}
	if strings.HasSuffix(action, "verify") {
		return s.verify(c)
	}
	return s.batch(c)
}

type largeObject struct {
	OID  string `json:"oid"`
	Size int64  `json:"size"`
}

func (o largeObject) large() gitstore.Large { return gitstore.Large{OID: o.OID, Size: o.Size} }

// batch tells where to send each large file.
func (s *Server) batch(c *repoCall) error {
	var in struct {
		Operation string        `json:"operation"`
		Transfers []string      `json:"transfers"`
		Objects   []largeObject `json:"objects"`
		Hash      string        `json:"hash_algo"`
		Ref       struct {
			Name string `json:"name"`
		} `json:"ref"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	if len(in.Objects) > maxPreupload {
		return refuse(http.StatusRequestEntityTooLarge, "TooLarge", fmt.Sprintf("at most %d objects can be asked for", maxPreupload))
	}
	if err := s.mayRead(c.exchange, c.repo); err != nil {
		return err
	}
	if in.Operation == "download" {
		return s.downloads(c, in.Objects)
	}
	if err := s.mayJoin(c.exchange); err != nil {
		return err
	}
	if err := s.maySend(c, in.Ref.Name); err != nil {
		return err
	}
	if in.Operation != "upload" {
		return refuse(http.StatusUnprocessableEntity, "ValidationError", "the operation is upload or download")
	}
	if in.Hash != "" && in.Hash != "sha256" && in.Hash != "sha_256" {
		return refuse(http.StatusConflict, "Conflict", "only sha256 is known here")
	}
	multipart := false
	for _, t := range in.Transfers {
		multipart = multipart || t == "multipart"
	}
	transfer := "basic"
	out := []map[string]any{}
	owner := s.bringer(c.exchange, c.repo.Namespace)
	may, done := s.mayName(c)
	defer done()
	for _, o := range in.Objects {
		v := map[string]any{"oid": o.OID, "size": o.Size}
		here := s.store.KeepLarge(o.large())
		if here {
			var err error
			if here, err = may(o.large()); err != nil {
				return err
			}
		}
		switch {
		case !isSHA256(o.OID) || o.Size < 0 || o.Size > maxLargeFile:
			v["error"] = map[string]any{"code": http.StatusUnprocessableEntity, "message": "the oid is not a sha256, or the size is not between 0 and 200 GB"}
		case here:
		default:
			actions := map[string]any{"verify": map[string]any{
				"href": c.base() + "/" + c.repo.Path() + ".git/info/lfs/objects/verify", "header": map[string]any{},
			}}
			if multipart && o.Size > s.opts.PartSize {
				transfer = "multipart"
				actions["upload"] = s.partActions(c.exchange, o, owner)
			} else {
				actions["upload"] = map[string]any{"href": c.base() + s.sign(ticket{path: "/api/storage/large/" + o.OID + "/" + owner, size: o.Size}), "header": map[string]any{}}
			}
			v["actions"] = actions
		}
		out = append(out, v)
	}
	return s.ok(c.exchange, map[string]any{"transfer": transfer, "objects": out})
}

// verify confirms that a large file has arrived.
func (s *Server) verify(c *repoCall) error {
	if err := cmp.Or(s.mayRead(c.exchange, c.repo), s.mayJoin(c.exchange)); err != nil {
		return err
	}
	var in largeObject
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	may, done := s.mayName(c)
	defer done()
	here := s.store.HasLarge(in.large())
	if here {
		var err error
		if here, err = may(in.large()); err != nil { // what others have is not told
			return err
		}
	}
	if !here {
		return refuse(http.StatusNotFound, "EntryNotFound", "the large file "+in.OID+" is not here")
	}
	return s.ok(c.exchange, map[string]any{"message": "ok"})
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
