package hubserver

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"ml-intern/internal/hub/hubserver/community"
	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/hubserver/web"
)

// What the page of a discussion shows at most. Comments are rendered, which
// takes time, so that many long ones are cut.
const (
	pageEvents = 500
	pageTalk   = 512 << 10 // bytes of comments
)

// talk shows the discussions of a repository, or one of them.
func (v *repoView) talk(args []string) error {
	if err := v.talks(); err != nil {
		return err
	}
	switch len(args) {
	case 0:
		return v.threads()
	case 1:
		v.args = args
		return v.thread()
	}
	return noRoute(v.exchange)
}

// threads lists those that are open, or those that are over.
func (v *repoView) threads() error {
	all, err := v.s.board().List(v.repo)
	if err != nil {
		return err
	}
	q := v.URL.Query()
	view := web.Threads{Over: q.Get("status") == "closed", URL: v.base + "/discussions"}
	var chosen []community.Discussion
	for _, d := range all {
		over := d.Status == community.Closed || d.Status == community.Merged
		if over {
			view.Closed++
		} else {
			view.Open++
		}
		if over == view.Over {
			chosen = append(chosen, d)
		}
	}
	n, _ := strconv.Atoi(q.Get("p")) // anything else is the first page
	n = min(max(n, 0), 1e6)
	page := "?p="
	if view.Over {
		page = "?status=closed&p="
	}
	if n > 0 {
		view.Newer = page + strconv.Itoa(n-1)
	}
	start := min(n*pageDiscussions, len(chosen))
	chosen = chosen[start:]
	if len(chosen) > pageDiscussions {
		chosen, view.Older = chosen[:pageDiscussions], page+strconv.Itoa(n+1)
	}
	for _, d := range chosen {
		view.Threads = append(view.Threads, v.oneThread(d))
	}
	return v.show("Discussions", "", view)
}

func (v *repoView) oneThread(d community.Discussion) web.Thread {
	return web.Thread{
		Number: d.Num, URL: v.base + "/discussions/" + strconv.Itoa(d.Num), Title: d.Title, Author: d.Author,
		Status: string(d.Status), Pull: d.Pull, Time: d.Created, Comments: d.Comments,
	}
}

// thread shows a discussion with all that happened in it.
func (v *repoView) thread() error {
	d, err := v.s.findDiscussion(v.repoCall)
	if err != nil {
		return err
	}
	events, err := v.s.board().Timeline(v.repo, d)
	if err != nil {
		return err
	}
	view := v.oneThread(d)
	left := pageTalk
	for i, e := range events {
		if i == pageEvents {
			view.More = len(events) - i
			break
		}
		view.Events = append(view.Events, v.event(e, &left))
	}
	if d.Pull {
		if err := v.pull(d, &view); err != nil {
			return err
		}
	}
	v.path = d.Title
	return v.show("Discussions", "", view)
}

// event is a thing that happened, for people. Left is how many bytes of
// comments may still be shown.
func (v *repoView) event(e community.Event, left *int) web.Event {
	out := web.Event{Author: e.Author, Time: e.Time}
	switch e.Kind {
	case community.Comment:
		if e.Text == "" && !e.Hidden { // of a pull request that a commit has opened
			out.What = "opened this"
			return out
		}
		out.Comment, out.Edited = true, len(e.Edits) > 0
		switch {
		case e.Hidden:
			out.Note = hiddenText
		case len(e.Text) > *left:
			out.Note = "Not shown here: the conversation is long."
		default:
			*left -= len(e.Text)
			out.Text = v.markdown("").HTML([]byte(e.Text))
		}
	case community.Change:
		out.What = map[community.Status]string{
			community.Open: "opened this", community.Closed: "closed this", community.Merged: "merged this", community.Draft: "made this a draft",
		}[e.Status]
	case community.Rename:
		out.What = "changed the title from “" + e.From + "” to “" + e.To + "”"
	case community.Pushed:
		out.What, out.Link = "added a commit", web.Link{Text: e.Subject, URL: v.base + "/commit/" + e.Commit}
	}
	return out
}

// pull adds what git knows of a pull request: where it goes, what it changes,
// and what keeps it from being merged.
func (v *repoView) pull(d community.Discussion, view *web.Thread) error {
	pull := v.repo.Pulls[d.Num]
	ref := gitstore.PullRef(d.Num)
	view.From = web.Link{Text: ref, URL: v.at("commits", ref, "")}
	view.Into = web.Link{Text: strings.TrimPrefix(pull.Target, "refs/heads/")}
	view.Into.URL = v.at("tree", view.Into.Text, "")
	if pull.Merged != "" {
		view.Merged = web.Link{Text: pull.Merged, URL: v.base + "/commit/" + pull.Merged}
	} else if d.Status != community.Closed {
		conflicts, err := v.s.store.Conflicts(v.repo, d.Num)
		switch {
		case errors.Is(err, gitstore.ErrNoRevision):
			view.Problem, view.Into.URL = "The branch that this is for is gone: it cannot be merged.", ""
		case err != nil:
			return err
		}
		view.Conflicts = conflicts
	}
	head, known := v.repo.Refs[ref]
	if !known {
		return nil
	}
	from, err := v.s.store.ReadCommit(pull.Base)
	if err != nil {
		return err
	}
	to, err := v.s.store.ReadCommit(head)
	if err != nil {
		return err
	}
	v.commit = to // which the links of the files lead to
	view.Diff, err = v.differences(from, to)
	return err
}

// login has a browser ask for a name and a token, and goes on to the page that
// led here. Browsers send both to all pages from then on, since this one lies
// at the root.
func (s *Server) login(x *exchange) error {
	if x.who == nil {
		return x.challenge(refuse(http.StatusUnauthorized, "Unauthorized", noPassword))
	}
	to := x.URL.Query().Get("to")
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		to = "/"
	}
	x.Header().Set("Location", to)
	x.WriteHeader(http.StatusSeeOther)
	return nil
}
