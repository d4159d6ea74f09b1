package hubserver

import (
	"html"

	"ml-intern/internal/hub/hubserver/community"
)

// authorJSON describes an account where it is named as the author of something.
func authorJSON(name string) map[string]any {
	return map[string]any{
		"_id": accountID(name), "name": name, "fullname": name, "type": "user",
		"avatarUrl": "", "isPro": false, "isHf": false, "isMod": false,
	}
}

// discussionItem describes a discussion as lists do.
func (c *repoCall) discussionItem(d community.Discussion) map[string]any {
	return map[string]any{
		"num": d.Num, "title": d.Title, "status": d.Status, "isPullRequest": d.Pull,
		"author": authorJSON(d.Author), "createdAt": stamp(d.Created), "numComments": d.Comments,
		"repo":             map[string]any{"name": c.repo.String(), "type": c.repo.Type},
		"repoOwner":        map[string]any{"name": c.repo.Namespace, "isParticipating": false},
		"pinned":           false,
		"locked":           false,
		"numReactionUsers": 0, "topReactions": []any{},
	}
}

// eventJSON describes what happened in a discussion.
func eventJSON(e community.Event) map[string]any {
	data := map[string]any{}
	switch e.Kind {
	case community.Comment:
		data = commentJSON(e)
	case community.Change:
		data["status"] = e.Status
	case community.Rename:
		data["from"], data["to"] = e.From, e.To
	case community.Pushed:
		data["subject"], data["oid"] = e.Subject, e.Commit
	}
	return map[string]any{
		"id": e.ID, "type": e.Kind, "createdAt": stamp(e.Time), "author": authorJSON(e.Author), "data": data,
	}
}

const hiddenText = "This comment has been hidden"

func commentJSON(e community.Event) map[string]any {
	text := e.Text
	if e.Hidden {
		text = hiddenText
	}
	version := func(text string, at string, author string) map[string]any {
		return map[string]any{"raw": text, "html": plainHTML(text), "updatedAt": at, "author": authorJSON(author)}
	}
	history, at, by := []map[string]any{}, e.Time, e.Author
	for _, old := range e.Edits { // an edit keeps the text that it replaced, and when it did
		history = append(history, version(old.Text, stamp(at), by))
		at, by = old.Time, old.Author
	}
	data := map[string]any{
		"edited": len(e.Edits) > 0, "hidden": e.Hidden, "numEdits": len(e.Edits), "editors": []string{e.Author},
		"latest": version(text, stamp(at), by), "history": history, "reactions": []any{},
	}
	if e.Hidden {
		data["hiddenBy"], data["hiddenReason"] = "", ""
	}
	return data
}

// plainHTML shows a text as it was written.
func plainHTML(text string) string {
	return `<p style="white-space: pre-wrap">` + html.EscapeString(text) + "</p>\n"
}
