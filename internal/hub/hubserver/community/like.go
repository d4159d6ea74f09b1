package community

import (
	"cmp"
	"context"
	"slices"
	"time"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// A Like says that someone likes a repository.
type Like struct {
	User string
	Time time.Time
}

const likesNote = "likes.json"

// Likes lists who likes a repository, the newest first.
func (b Board) Likes(id hub.RepoID) ([]Like, error) {
	likes := map[string]time.Time{}
	if _, err := b.readNote(id, likesNote, &likes); err != nil {
		return nil, err
	}
	all := make([]Like, 0, len(likes))
	for user, at := range likes {
		all = append(all, Like{user, at})
	}
	slices.SortFunc(all, func(x, y Like) int { return cmp.Or(y.Time.Compare(x.Time), cmp.Compare(x.User, y.User)) })
	return all, nil
}

// SetLike makes a user like a repository, or no longer.
func (b Board) SetLike(ctx context.Context, id hub.RepoID, user string, likes bool) error {
	return b.Store.Hold(ctx, id, func(*gitstore.Repo) error {
		all := map[string]time.Time{}
		if _, err := b.readNote(id, likesNote, &all); err != nil {
			return err
		}
		if _, has := all[user]; has == likes {
			return nil
		}
		delete(all, user)
		if likes {
			all[user] = now()
		}
		return b.putNote(id, likesNote, all)
	})
}
