package series

import "strings"

// A Direction is which way a metric gets better.
type Direction int

// The directions.
const (
	Unknown Direction = iota
	Lower
	Higher
)

func (d Direction) String() string {
	return [...]string{"unknown", "lower", "higher"}[d]
}

// Words of names of metrics. Those of nobody's direction are here because a line
// that has one is a line of metrics.
var words = map[string]Direction{
	"loss": Lower, "nll": Lower, "ppl": Lower, "perplexity": Lower, "wer": Lower, "cer": Lower, "mae": Lower, "mse": Lower,
	"rmse": Lower, "mape": Lower, "fid": Lower, "bpb": Lower, "bpc": Lower, "error": Lower, "err": Lower, "logloss": Lower, "brier": Lower,
	"acc": Higher, "accuracy": Higher, "accuracies": Higher, "f1": Higher, "auc": Higher, "auroc": Higher, "bleu": Higher, "rouge": Higher,
	"rouge1": Higher, "rouge2": Higher, "rougel": Higher, "rougelsum": Higher, "chrf": Higher, "meteor": Higher,
	"precision": Higher, "recall": Higher, "reward": Higher, "rewards": Higher, "score": Higher, "iou": Higher, "miou": Higher, "map": Higher,
	"map50": Higher, "ndcg": Higher, "mrr": Higher, "r2": Higher, "mcc": Higher, "psnr": Higher, "ssim": Higher, "exact": Higher, "win": Higher, "margins": Higher,
	"lr": Unknown, "kl": Unknown, "entropy": Unknown, "norm": Unknown, "grad": Unknown, "gnorm": Unknown, "runtime": Unknown,
	"throughput": Unknown, "mfu": Unknown, "top1": Higher, "top5": Higher, "dice": Higher, "spearman": Higher, "pearson": Higher,
}

// nameWords splits a metric's name into words in lower case.
func nameWords(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// known reports whether a name sounds like a metric's.
func known(name string) bool {
	for _, w := range nameWords(name) {
		if _, ok := words[w]; ok || strings.HasSuffix(w, "loss") || strings.HasSuffix(w, "acc") {
			return true
		}
	}
	lower := strings.ToLower(name)
	return strings.Contains(lower, "learning_rate") || strings.Contains(lower, "per_second") || strings.Contains(lower, "num_tokens")
}

// BetterWhen guesses from a metric's name which way it gets better. The last
// word that tells counts: reward_loss is a loss.
func BetterWhen(name string) Direction {
	d := Unknown
	for _, w := range nameWords(name) {
		switch {
		case words[w] != Unknown:
			d = words[w]
		case strings.HasSuffix(w, "loss"):
			d = Lower
		case strings.HasSuffix(w, "acc"):
			d = Higher
		case w == "std" || w == "rate" || w == "lr" || w == "norm" || w == "grad":
			return Unknown // of the metric, not the metric
		}
	}
	return d
}

// IsLoss reports whether the name is one of a loss, which falls when training
// goes well.
func IsLoss(name string) bool {
	for _, w := range nameWords(name) {
		if strings.HasSuffix(w, "loss") || w == "perplexity" || w == "ppl" || w == "nll" {
			return true
		}
	}
	return false
}
