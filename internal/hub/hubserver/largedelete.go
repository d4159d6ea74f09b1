package hubserver

import (
	"fmt"
	"net/http"

	"ml-intern/internal/hub/hubserver/gitstore"
)

const (
	maxForgotten   = 1000
	keepsThePast   = "this server deletes a large file with its history only: set rewriteHistory"
	lengthOfFileID = 24 // of a file's id in the list of large files, of which it is the hash's beginning
)

// forgetLarge deletes a large file from a repository for good:
// DELETE …/lfs-files/ID?rewriteHistory=true.
func (s *Server) forgetLarge(c *repoCall) error {
	n, err := s.forget(c, []string{c.args[0]}, truth(c.URL.Query().Get("rewriteHistory")))
	if err == nil && n == 0 {
		return refuse(http.StatusNotFound, "NotFound", "the repository has no large file "+c.args[0])
	}
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true})
}

// forgetLargeFiles deletes several. Those that are gone already are no error: a
// client that did not get the answer asks again.
func (s *Server) forgetLargeFiles(c *repoCall) error {
	if c.args[0] != "batch" {
		return noRoute(c.exchange)
	}
	var in struct {
		Deletions struct {
			Files   []string `json:"sha"`
			Rewrite bool     `json:"rewriteHistory"`
		} `json:"deletions"`
	}
	if err := decode(c.exchange, &in); err != nil {
		return err
	}
	if len(in.Deletions.Files) == 0 || len(in.Deletions.Files) > maxForgotten {
		return badRequest(fmt.Sprintf("deletions.sha must name 1 to %d files", maxForgotten))
	}
	n, err := s.forget(c, in.Deletions.Files, in.Deletions.Rewrite)
	if err != nil {
		return err
	}
	return s.ok(c.exchange, map[string]any{"success": true, "processed": len(in.Deletions.Files), "succeeded": n})
}

// forget takes files out of the repository that are named by id or by hash.
func (s *Server) forget(c *repoCall, names []string, rewrite bool) (int, error) {
	if !rewrite {
		return 0, badRequest(keepsThePast)
	}
	gone := map[string]bool{}
	for _, name := range names {
		if len(name) != lengthOfFileID && len(name) != 64 {
			return 0, badRequest(fmt.Sprintf("%.70q is not the id of a large file", name))
		}
		gone[name] = true
	}
	ctx, cancel := c.detached()
	defer cancel()
	return s.store.Forget(ctx, c.repo.RepoID, func(l gitstore.Large) bool {
		return gone[l.OID] || gone[l.OID[:lengthOfFileID]]
	})
}
