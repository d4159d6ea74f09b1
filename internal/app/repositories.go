package app

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"

	"ml-intern/internal/hub"
)

// A Repository is one of the Hub, as a person who types its name is offered it.
type Repository struct {
	Name  string   // "owner/name"
	Kinds []string // model, dataset, space: one name may be of several
}

// Of each kind so many repositories are asked for; so many are offered.
const (
	askedRepositories   = 100
	offeredRepositories = 50
)

// Repositories lists the repositories of the Hub whose names begin so, which is
// "owner/" at least. It fails only if no kind could be listed. Offline nobody is
// asked, and an embedded Hub that has never kept anything is not started for it.
func (a *App) Repositories(ctx context.Context, start string) ([]Repository, error) {
	owner, name, ok := strings.Cut(start, "/")
	if !ok || owner == "" || a.hubChoice() != LocalHub && offline(a.cfg) {
		return nil, nil
	}
	if a.hubChoice() == LocalHub {
		if _, err := os.Stat(a.hub.dir); err != nil {
			return nil, nil //nolint:nilerr // there is nothing in it
		}
	}
	client, err := a.hubClient(ctx)
	if err != nil {
		return nil, err
	}
	kinds := []hub.RepoType{hub.Model, hub.Dataset, hub.Space}
	names, errs := make([][]string, len(kinds)), make([]error, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		wg.Go(func() {
			opts := hub.SearchOptions{Type: kind, Author: owner, Search: name, Limit: askedRepositories, Expand: []string{"likes"}}
			names[i], errs[i] = beginning(ctx, client, opts, start)
		})
	}
	wg.Wait()
	var list []Repository
	for i, kind := range kinds {
		for _, name := range names[i] {
			at := slices.IndexFunc(list, func(r Repository) bool { return r.Name == name })
			if at < 0 {
				at = len(list)
				list = append(list, Repository{Name: name})
			}
			list[at].Kinds = append(list[at].Kinds, string(kind))
		}
	}
	if len(list) == 0 {
		return nil, errors.Join(errs...)
	}
	return list, nil
}

// beginning lists the names that begin so, of what the Hub finds, in its order.
func beginning(ctx context.Context, client *hub.Client, opts hub.SearchOptions, start string) ([]string, error) {
	var names []string
	start = strings.ToLower(start)
	for info, err := range client.Search(ctx, opts) {
		if err != nil {
			return names, err
		}
		if len(info.ID) <= 200 && strings.HasPrefix(strings.ToLower(info.ID), start) && !slices.Contains(names, info.ID) {
			names = append(names, info.ID)
		}
		if len(names) == offeredRepositories {
			break
		}
	}
	return names, nil
}
