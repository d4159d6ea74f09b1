package hubserver

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver/gitstore"
)

// The fields that clients may ask for one by one. The ones that this server
// knows nothing about are left out of the answer.
const (
	expandModel = `author baseModels cardData childrenModelCount config createdAt disabled downloads downloadsAllTime
evalResults gated gguf inference inferenceProviderMapping lastModified library_name likes mask_token model-index
pipeline_tag private resourceGroup safetensors sha siblings spaces tags transformersInfo trendingScore usedStorage
widgetData xetEnabled`
	expandDataset = `author cardData citation createdAt description disabled downloads downloadsAllTime gated lastModified
likes mainSize paperswithcode_id private resourceGroup sha siblings tags trendingScore usedStorage xetEnabled`
	expandSpace = `author cardData createdAt datasets disabled lastModified likes models private region resourceGroup
runtime sdk sha siblings subdomain tags trendingScore usedStorage xetEnabled`
)

// expandList reads which fields are asked for, none for all.
func expandList(typ hub.RepoType, q url.Values) ([]string, error) {
	known := strings.Fields(map[hub.RepoType]string{hub.Model: expandModel, hub.Dataset: expandDataset, hub.Space: expandSpace}[typ])
	expand := values(q, "expand")
	for _, field := range expand {
		if !slices.Contains(known, field) {
			return nil, badRequest(fmt.Sprintf("%q cannot be expanded; a %s has %s", field, typ, strings.Join(known, ", ")))
		}
	}
	for _, all := range []string{"full", "cardData", "config"} {
		if len(expand) > 0 && truth(q.Get(all)) {
			return nil, badRequest("expand cannot be used with " + all)
		}
	}
	return expand, nil
}

// expand adds what takes time to find out: to a whole description what a
// library needs to load the model, else what was asked for.
func (s *Server) expand(ctx context.Context, repo *gitstore.Repo, commit gitstore.Commit, fields []string, v map[string]any) error {
	if slices.Contains(fields, "usedStorage") || slices.Contains(fields, "mainSize") {
		size, err := s.sizeOf(commit, "")
		if err != nil {
			return err
		}
		v["usedStorage"], v["mainSize"] = size, size
	}
	if repo.Type != hub.Model {
		return nil
	}
	return s.addFacts(ctx, v, commit, fields)
}

// subdomain is where a Space would run.
func subdomain(id hub.RepoID) string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(strings.ToLower(id.Namespace + "-" + id.Name))
}
