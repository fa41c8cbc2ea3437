package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// api is what the runner needs of a cluster, in one namespace. Safe for
// concurrent use; errors are those of k8s.io/apimachinery/pkg/api/errors, or
// of the network.
type api interface {
	CreateJob(ctx context.Context, j *batchv1.Job) (*batchv1.Job, error)
	Job(ctx context.Context, name string) (*batchv1.Job, error)
	PatchJob(ctx context.Context, name string, mergePatch []byte) error
	DeleteJob(ctx context.Context, name string, o metav1.DeleteOptions) error
	Jobs(ctx context.Context, selector string) (*batchv1.JobList, error)
	WatchJobs(ctx context.Context, selector, version string, timeout time.Duration) (watch.Interface, error)
	// Pods lists a page at a time: cont is "" for the first, and Continue of
	// the page before.
	Pods(ctx context.Context, selector, cont string) (*corev1.PodList, error)
	WatchPods(ctx context.Context, selector, version string, timeout time.Duration) (watch.Interface, error)
	DeletePod(ctx context.Context, name string, o metav1.DeleteOptions) error
	Log(ctx context.Context, pod string, tailLines int64) (io.ReadCloser, error)
	CreateSecret(ctx context.Context, s *corev1.Secret) error
	DeleteSecret(ctx context.Context, name string) error
	// Warnings are the messages of warning events about an object.
	Warnings(ctx context.Context, kind, name string) ([]string, error)
}

// podsPage is how many pods are listed in one request.
const podsPage = 500

// client is the api of a real cluster. It is made of client-go's REST client
// and a scheme of the two groups in use: the typed client sets link every kind
// that Kubernetes has, 28 MB instead of 12.
type client struct {
	ns    string
	batch rest.Interface
	core  rest.Interface
}

var _ api = (*client)(nil)

var codecs = sync.OnceValue(func() serializer.CodecFactory {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{batchv1.AddToScheme, corev1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err) // a mistake of ours: these types are compiled in
		}
	}
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	// client-go's own log would go to the terminal; errors come back anyway.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	return serializer.NewCodecFactory(s)
})

// connect reads the kubeconfig, or the service account when this runs in a
// pod itself. Nothing is sent yet.
func (o *Options) connect() (api, string, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: o.Kubeconfig}
	if o.Kubeconfig == "" {
		if v := o.getenv("KUBECONFIG"); v != "" {
			rules.Precedence = filepath.SplitList(v)
		} else if home := o.getenv("HOME"); home != "" {
			rules.Precedence = []string{filepath.Join(home, ".kube", "config")}
		}
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	cfg, err := loader.ClientConfig()
	if err != nil {
		if !clientcmd.IsEmptyConfig(err) || o.Kubeconfig != "" || o.Context != "" {
			return nil, "", fmt.Errorf("read kubeconfig: %w", err)
		}
		if cfg, err = rest.InClusterConfig(); err != nil {
			return nil, "", errors.New("no kubeconfig was found (KUBECONFIG, ~/.kube/config), and this does not run in a pod")
		}
	}
	ns := o.Namespace
	if ns == "" {
		if ns, _, err = loader.Namespace(); err != nil || ns == "" {
			ns = metav1.NamespaceDefault
		}
	}
	cfg.QPS, cfg.Burst = 50, 100
	cfg.UserAgent = "sextant"
	cfg.WarningHandler = rest.NoWarnings{}
	c, err := newClient(cfg, ns)
	if err != nil {
		return nil, "", err
	}
	return c, ns, nil
}

func newClient(cfg *rest.Config, ns string) (*client, error) {
	c := &client{ns: ns}
	for _, g := range []struct {
		to   *rest.Interface
		gv   schema.GroupVersion
		path string
	}{{&c.batch, batchv1.SchemeGroupVersion, "/apis"}, {&c.core, corev1.SchemeGroupVersion, "/api"}} {
		x := rest.CopyConfig(cfg)
		x.GroupVersion, x.APIPath = &g.gv, g.path
		x.NegotiatedSerializer = codecs().WithoutConversion()
		r, err := rest.RESTClientFor(x)
		if err != nil {
			return nil, fmt.Errorf("connect to the cluster: %w", err)
		}
		*g.to = r
	}
	return c, nil
}

func (c *client) CreateJob(ctx context.Context, j *batchv1.Job) (*batchv1.Job, error) {
	var out batchv1.Job
	return &out, c.batch.Post().Namespace(c.ns).Resource("jobs").Body(j).Do(ctx).Into(&out)
}

func (c *client) Job(ctx context.Context, name string) (*batchv1.Job, error) {
	var out batchv1.Job
	return &out, c.batch.Get().Namespace(c.ns).Resource("jobs").Name(name).Do(ctx).Into(&out)
}

func (c *client) PatchJob(ctx context.Context, name string, patch []byte) error {
	return c.batch.Patch(types.MergePatchType).Namespace(c.ns).Resource("jobs").Name(name).Body(patch).Do(ctx).Error()
}

func (c *client) DeleteJob(ctx context.Context, name string, o metav1.DeleteOptions) error {
	return c.batch.Delete().Namespace(c.ns).Resource("jobs").Name(name).Body(&o).Do(ctx).Error()
}

func (c *client) Jobs(ctx context.Context, selector string) (*batchv1.JobList, error) {
	var out batchv1.JobList
	return &out, c.batch.Get().Namespace(c.ns).Resource("jobs").Param("labelSelector", selector).Do(ctx).Into(&out)
}

func (c *client) WatchJobs(ctx context.Context, selector, version string, timeout time.Duration) (watch.Interface, error) {
	return watched(c.batch.Get().Namespace(c.ns).Resource("jobs"), selector, version, timeout).Watch(ctx)
}

func (c *client) Pods(ctx context.Context, selector, cont string) (*corev1.PodList, error) {
	var out corev1.PodList
	r := c.core.Get().Namespace(c.ns).Resource("pods").Param("labelSelector", selector).Param("limit", strconv.Itoa(podsPage))
	if cont != "" {
		r = r.Param("continue", cont)
	}
	return &out, r.Do(ctx).Into(&out)
}

func (c *client) WatchPods(ctx context.Context, selector, version string, timeout time.Duration) (watch.Interface, error) {
	return watched(c.core.Get().Namespace(c.ns).Resource("pods"), selector, version, timeout).Watch(ctx)
}

func watched(r *rest.Request, selector, version string, timeout time.Duration) *rest.Request {
	return r.Param("labelSelector", selector).Param("watch", "true").Param("allowWatchBookmarks", "true").
		Param("resourceVersion", version).Param("timeoutSeconds", strconv.Itoa(int(max(timeout, time.Second)/time.Second)))
}

func (c *client) DeletePod(ctx context.Context, name string, o metav1.DeleteOptions) error {
	return c.core.Delete().Namespace(c.ns).Resource("pods").Name(name).Body(&o).Do(ctx).Error()
}

func (c *client) Log(ctx context.Context, pod string, tailLines int64) (io.ReadCloser, error) {
	return c.core.Get().Namespace(c.ns).Resource("pods").Name(pod).SubResource("log").
		Param("container", containerName).Param("tailLines", strconv.FormatInt(tailLines, 10)).Stream(ctx)
}

func (c *client) CreateSecret(ctx context.Context, s *corev1.Secret) error {
	return c.core.Post().Namespace(c.ns).Resource("secrets").Body(s).Do(ctx).Error()
}

func (c *client) DeleteSecret(ctx context.Context, name string) error {
	return c.core.Delete().Namespace(c.ns).Resource("secrets").Name(name).Do(ctx).Error()
}

func (c *client) Warnings(ctx context.Context, kind, name string) ([]string, error) {
	var l corev1.EventList
	err := c.core.Get().Namespace(c.ns).Resource("events").Param("limit", "50").
		Param("fieldSelector", "involvedObject.kind="+kind+",involvedObject.name="+name+",type=Warning").Do(ctx).Into(&l)
	var out []string
	for _, e := range l.Items {
		out = append(out, e.Reason+": "+strings.TrimSpace(e.Message))
	}
	return out, err
}

// transient reports whether a request may succeed when it is sent again: the
// server did not answer, or was too busy.
func transient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if _, answered := err.(apierrors.APIStatus); !answered {
		var s apierrors.APIStatus
		if !errors.As(err, &s) {
			return true
		}
	}
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsConflict(err) || apierrors.IsUnexpectedServerError(err)
}
