package ray

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ml-intern/internal/job"
)

// A node is what Ray tells of one: its resources by their own names, such as
// CPU, memory in bytes, accelerator_type:A100.
type node struct {
	ID    string             `json:"node_id"`
	State string             `json:"state"`
	Head  bool               `json:"is_head_node"`
	Total map[string]float64 `json:"resources_total"`
}

const accelerator = "accelerator_type:"

// accelerator is the type of the node's GPUs, "" if Ray does not know it.
func (n node) accelerator() string {
	for name := range n.Total {
		if kind, ok := strings.CutPrefix(name, accelerator); ok {
			return kind
		}
	}
	return ""
}

// place is the resource that only this machine has.
func (n node) place() string {
	for name := range n.Total {
		if strings.HasPrefix(name, "node:") && !strings.HasPrefix(name, "node:__") {
			return name
		}
	}
	return ""
}

// nodes asks for those that are alive.
func (b Backend) nodes(ctx context.Context) ([]node, error) {
	var answer struct {
		Data struct {
			Result struct {
				Result []node `json:"result"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := b.ask(ctx, http.MethodGet, "/api/v0/nodes?detail=1&limit=10000", nil, &answer); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(answer.Data.Result.Result, func(n node) bool { return n.State != "ALIVE" }), nil
}

// A load is what of the cluster is in use, and what waits.
type load struct {
	Nodes map[string]map[string][2]float64 `json:"usageByNode"` // resource: used, total
	Wait  [][2]any                         `json:"resourceDemand"`
}

// load asks for it. Clusters without an autoscaler have none, and then it is
// nil.
func (b Backend) load(ctx context.Context) (*load, error) {
	var answer struct {
		Data struct {
			Status *struct {
				Load *load `json:"loadMetricsReport"`
			} `json:"clusterStatus"`
		} `json:"data"`
	}
	err := b.ask(ctx, http.MethodGet, "/api/cluster_status", nil, &answer)
	if err != nil || answer.Data.Status == nil {
		return nil, err
	}
	return answer.Data.Status.Load, nil
}

func (l *load) waiting() int {
	if l == nil {
		return -1
	}
	all := 0.0
	for _, w := range l.Wait {
		if n, ok := w[1].(float64); ok {
			all += n
		}
	}
	return int(all)
}

// free is how much of a resource a node has left, -1 if nobody says.
func (l *load) free(id, resource string) int {
	if l == nil {
		return -1
	}
	usage, ok := l.Nodes[id]
	if !ok {
		return -1
	}
	return int(usage[resource][1] - usage[resource][0])
}

// A gpu is a card as the node's driver calls it.
type gpu struct {
	Name     string  `json:"name"`
	MemoryMB float64 `json:"memoryTotal"`
}

// gpus asks for the first card of every node that has one.
func (b Backend) gpus(ctx context.Context) (map[string]gpu, error) {
	var answer struct {
		Data struct {
			Summary []struct {
				GPUs   []gpu `json:"gpus"`
				Raylet struct {
					ID string `json:"nodeId"`
				} `json:"raylet"`
			} `json:"summary"`
		} `json:"data"`
	}
	if err := b.ask(ctx, http.MethodGet, "/nodes?view=summary", nil, &answer); err != nil {
		return nil, err
	}
	found := map[string]gpu{}
	for _, s := range answer.Data.Summary {
		if len(s.GPUs) > 0 {
			found[s.Raylet.ID] = s.GPUs[0]
		}
	}
	return found, nil
}

// A kind is an offer with the resource that leads to its nodes.
type kind struct {
	job.Offer
	accelerator string
}

// Offers implements job.Backend: one for all nodes of a kind.
func (b Backend) Offers(ctx context.Context) ([]job.Offer, error) {
	kinds, err := b.kinds(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask Ray for its nodes: %w", err)
	}
	offers := make([]job.Offer, len(kinds))
	for i, k := range kinds {
		offers[i] = k.Offer
	}
	return offers, nil
}

func (b Backend) kinds(ctx context.Context) ([]kind, error) {
	nodes, err := b.nodes(ctx)
	if err != nil {
		return nil, err
	}
	usage, err := b.load(ctx)
	if err != nil {
		return nil, err
	}
	var cards map[string]gpu
	if slices.ContainsFunc(nodes, func(n node) bool { return n.Total["GPU"] >= 1 }) {
		if cards, err = b.gpus(ctx); err != nil {
			return nil, err
		}
	}
	byFlavor := map[string]*kind{}
	var kinds []*kind
	for _, n := range nodes {
		if n.Total["CPU"] < 1 && n.Total["GPU"] < 1 { // a head that runs nothing
			continue
		}
		k := b.kind(n, usage, cards[n.ID])
		if same, ok := byFlavor[k.Flavor]; ok { // a job has one node
			same.FreeCPUs, same.FreeGPUs = max(same.FreeCPUs, k.FreeCPUs), max(same.FreeGPUs, k.FreeGPUs)
			same.MemoryMB = min(same.MemoryMB, k.MemoryMB)
			continue
		}
		byFlavor[k.Flavor] = &k
		kinds = append(kinds, &k)
	}
	sorted := make([]kind, len(kinds))
	for i, k := range kinds {
		sorted[i] = *k
	}
	slices.SortFunc(sorted, func(x, y kind) int {
		return cmp.Or(job.ByPrice(x.Offer, y.Offer), cmp.Compare(x.GPUs, y.GPUs), cmp.Compare(x.CPUs, y.CPUs), cmp.Compare(x.Flavor, y.Flavor))
	})
	return sorted, nil
}

func (b Backend) kind(n node, usage *load, card gpu) kind {
	k := kind{accelerator: n.accelerator()}
	k.CPUs, k.GPUs, k.MemoryMB = int(n.Total["CPU"]), int(n.Total["GPU"]), int64(n.Total["memory"])>>20
	k.FreeCPUs, k.FreeGPUs, k.Queued = usage.free(n.ID, "CPU"), 0, usage.waiting()
	k.Flavor = fmt.Sprintf("%dcpu-%dgb", k.CPUs, k.MemoryMB>>10)
	if k.GPUs > 0 {
		k.FreeGPUs = usage.free(n.ID, "GPU")
		k.GPU = cmp.Or(k.accelerator, card.Name, "GPU")
		k.GPUMemoryMB = cmp.Or(int64(card.MemoryMB), int64(b.GPUMemory[k.GPU]))
		k.Flavor += fmt.Sprintf("-%dx%s", k.GPUs, strings.ReplaceAll(strings.ToLower(k.GPU), " ", "-"))
	}
	price, known := b.USDPerHour[k.Flavor]
	if !known {
		price, known = b.USDPerHour["*"]
	}
	k.USDPerHour, k.PriceUnknown = price, !known && b.USDPerHour != nil
	k.DefaultLimitS, k.Ephemeral = int(b.timeLimit().Seconds()), !b.Shared
	return k
}

// place decides what of the cluster a job asks for. One that names a flavor
// has a whole node of it.
func (b Backend) place(ctx context.Context, spec job.Spec, d *draft) error {
	kinds, err := b.kinds(ctx)
	if err != nil {
		return fmt.Errorf("ask Ray for its nodes: %w", err)
	}
	offers := make([]job.Offer, len(kinds))
	names := make([]string, len(kinds))
	for i, k := range kinds {
		offers[i], names[i] = k.Offer, k.Flavor
	}
	chosen, err := job.Choose(offers, spec)
	switch {
	case len(kinds) == 0:
		return errors.New("the Ray cluster has no node that runs jobs")
	case err != nil && spec.Flavor != "" && !slices.Contains(names, spec.Flavor):
		return fmt.Errorf("the Ray cluster has no %q; it has %s", spec.Flavor, strings.Join(names, ", "))
	case err != nil:
		return err
	}
	need := spec.Hardware
	if need.Flavor != "" {
		need = job.Hardware{CPUs: chosen.CPUs, GPUs: chosen.GPUs, GPU: chosen.GPU}
	} else if need.GPU != "" || need.GPUMemoryMB > 0 {
		need.GPUs = max(need.GPUs, 1)
	}
	d.request.CPUs, d.request.GPUs, d.request.Memory = float64(need.CPUs), float64(need.GPUs), need.MemoryMB<<20
	if kind := kinds[slices.Index(names, chosen.Flavor)].accelerator; kind != "" && (need.GPU != "" || need.GPUMemoryMB > 0) {
		d.request.Resources = map[string]float64{accelerator + kind: 0.001}
	}
	d.usdPerHour = chosen.USDPerHour
	d.hardware = fmt.Sprintf("%d CPUs of %s", need.CPUs, chosen.Flavor)
	if need.GPUs > 0 {
		d.hardware = fmt.Sprintf("%d CPUs and %d %s of %s", need.CPUs, need.GPUs, chosen.GPU, chosen.Flavor)
	}
	return nil
}
