// Go's own libcni as a program, so that a test can be any runtime that is written in Go: CRI-O, containerd, podman,
// Multus and nerdctl all call plugins through this library.
//
// A request is one JSON object on standard input, the answer one JSON object on standard output:
//
//	{"command": "add", "conf": "/path/net.conflist", "path": ["/plugins"], "cacheDir": "/cache", "containerId": "c1",
//	 "netns": "/run/netns/pod", "ifName": "eth0"}
//	{"result": {...}}  or  {"error": {"code": 11, "msg": "...", "details": "..."}}
//
// The exit code is 0 for either: a plugin that refuses is an answer. Anything else is a request that makes no sense.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

type request struct {
	Command          string               `json:"command"`
	Conf             string               `json:"conf"`
	Path             []string             `json:"path"`
	CacheDir         string               `json:"cacheDir"`
	ContainerID      string               `json:"containerId"`
	NetNS            string               `json:"netns"`
	IfName           string               `json:"ifName"`
	Args             [][2]string          `json:"args"`
	CapabilityArgs   map[string]any       `json:"capabilityArgs"`
	ValidAttachments []types.GCAttachment `json:"validAttachments"`
}

type failure struct {
	Code    uint   `json:"code"`
	Msg     string `json:"msg"`
	Details string `json:"details,omitempty"`
}

type answer struct {
	Result any      `json:"result,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

func main() {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, "request:", err)
		os.Exit(2)
	}
	// A plugin that hangs is a failed test, not a hanging one.
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	given := answer{}
	result, err := perform(ctx, asked)
	if err != nil {
		given.Error = describe(err)
	} else {
		given.Result = result
	}
	if err := json.NewEncoder(os.Stdout).Encode(given); err != nil {
		fmt.Fprintln(os.Stderr, "answer:", err)
		os.Exit(2)
	}
}

// perform makes the one call of libcni that was asked for. Only ADD, validate and attachments have a result.
func perform(ctx context.Context, asked request) (any, error) {
	cni := libcni.NewCNIConfigWithCacheDir(asked.Path, asked.CacheDir, nil)
	if asked.Command == "attachments" {
		return cni.GetCachedAttachments(asked.ContainerID)
	}
	list, err := libcni.NetworkConfFromFile(asked.Conf)
	if err != nil {
		return nil, err
	}
	runtime := &libcni.RuntimeConf{
		ContainerID:    asked.ContainerID,
		NetNS:          asked.NetNS,
		IfName:         asked.IfName,
		Args:           asked.Args,
		CapabilityArgs: asked.CapabilityArgs,
	}
	switch asked.Command {
	case "add":
		return cni.AddNetworkList(ctx, list, runtime)
	case "check":
		return nil, cni.CheckNetworkList(ctx, list, runtime)
	case "del":
		return nil, cni.DelNetworkList(ctx, list, runtime)
	case "gc":
		return nil, cni.GCNetworkList(ctx, list, &libcni.GCArgs{ValidAttachments: asked.ValidAttachments})
	case "status":
		return nil, cni.GetStatusNetworkList(ctx, list)
	case "validate":
		return cni.ValidateNetworkList(ctx, list)
	}
	return nil, fmt.Errorf("no command %q", asked.Command)
}

// describe finds the plugin's own error, which libcni may have wrapped; libcni's own errors have no code.
func describe(err error) *failure {
	var own *types.Error
	if errors.As(err, &own) {
		return &failure{Code: own.Code, Msg: err.Error(), Details: own.Details}
	}
	return &failure{Msg: err.Error()}
}
