// Command pulumi-resource-gcp serves the upstream Google provider to the Pulumi engine, for the
// resources of this stack only, under the names that pulumi-gcp gives them.
//
// It takes the place of pulumi-gcp where that can't be had: planning, validation and requests are
// the upstream provider's own. Known differences: the GA provider instead of the beta one, and the
// attribution label goog-terraform-provisioned.
package main

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	google "github.com/hashicorp/terraform-provider-google/google/provider"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// version is that of the pulumi-gcp SDK that the stack pins, whose requests it answers.
const version = "10.2.0"

// resources maps an upstream resource to its module and type in pulumi-gcp.
var resources = map[string]*tfbridge.ResourceInfo{
	"google_artifact_registry_repository":            {Tok: token("artifactregistry", "Repository")},
	"google_artifact_registry_repository_iam_member": {Tok: token("artifactregistry", "RepositoryIamMember")},
	"google_compute_network":                         {Tok: token("compute", "Network"), Fields: lowerCaseName()},
	"google_compute_router":                          {Tok: token("compute", "Router"), Fields: lowerCaseName()},
	"google_compute_router_nat":                      {Tok: token("compute", "RouterNat"), Fields: lowerCaseName()},
	"google_compute_subnetwork":                      {Tok: token("compute", "Subnetwork"), Fields: lowerCaseName()},
	"google_container_cluster":                       {Tok: token("container", "Cluster")},
	"google_container_node_pool":                     {Tok: token("container", "NodePool")},
	"google_filestore_instance":                      {Tok: token("filestore", "Instance")},
	"google_project_iam_member":                      {Tok: token("projects", "IAMMember"), DeleteBeforeReplace: true},
	"google_project_service":                         {Tok: token("projects", "Service")},
	"google_redis_instance":                          {Tok: token("redis", "Instance")},
	"google_service_account": {
		Tok:    token("serviceaccount", "Account"),
		Fields: map[string]*tfbridge.SchemaInfo{"account_id": tfbridge.AutoName("", 30, "-")},
	},
	"google_service_account_iam_member": {Tok: token("serviceaccount", "IAMMember")},
}

func token(module, name string) tokens.Type {
	return tokens.Type("gcp:" + module + "/" + strings.ToLower(name[:1]) + name[1:] + ":" + name)
}

// lowerCaseName makes names for resources whose names are part of a URL.
func lowerCaseName() map[string]*tfbridge.SchemaInfo {
	return map[string]*tfbridge.SchemaInfo{
		"name": tfbridge.AutoNameWithCustomOptions("name", tfbridge.AutoNameOptions{
			Separator: "-", Maxlen: 63, Randlen: 7, Transform: strings.ToLower,
		}),
	}
}

// environment is a default that the provider reads from the first variable that is set.
func environment(variables ...string) *tfbridge.SchemaInfo {
	return &tfbridge.SchemaInfo{Default: &tfbridge.DefaultInfo{EnvVars: variables}}
}

func boolean(variable string) *tfbridge.ConfigInfo {
	return &tfbridge.ConfigInfo{
		Schema: shim.NewSchema(&schema.Schema{Type: schema.TypeBool, Optional: true}),
		Info: &tfbridge.SchemaInfo{
			Default: &tfbridge.DefaultInfo{Value: false, EnvVars: []string{variable}},
		},
	}
}

// labelled gives the label maps that the provider computes the names and the secrecy that
// pulumi-gcp gives them: default labels of a provider may hold secrets.
func labelled(upstream *schema.Resource, info *tfbridge.ResourceInfo) {
	for field, name := range map[string]string{
		"terraform_labels": "pulumiLabels", "effective_labels": "effectiveLabels",
	} {
		if _, ok := upstream.Schema[field]; !ok {
			continue
		}
		if info.Fields == nil {
			info.Fields = map[string]*tfbridge.SchemaInfo{}
		}
		info.Fields[field] = &tfbridge.SchemaInfo{Name: name, Secret: tfbridge.True()}
	}
}

func provider() tfbridge.ProviderInfo {
	upstream := google.Provider()
	for name, resource := range upstream.ResourcesMap {
		if info, ok := resources[name]; ok {
			labelled(resource, info)
		} else {
			delete(upstream.ResourcesMap, name)
		}
	}
	clear(upstream.DataSourcesMap)
	info := tfbridge.ProviderInfo{
		P:              shim.NewProvider(upstream),
		Name:           "google-beta", // what pulumi-gcp is made from; it decides the config's names
		ResourcePrefix: "google",
		GitHubOrg:      "hashicorp",
		Version:        version,
		Config: map[string]*tfbridge.SchemaInfo{
			"project":      environment("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"),
			"region":       environment("GOOGLE_REGION", "GCLOUD_REGION"),
			"zone":         environment("GOOGLE_ZONE", "GCLOUD_ZONE"),
			"access_token": {Secret: tfbridge.True()},

			"add_terraform_attribution_label":               {Name: "addPulumiAttributionLabel"},
			"terraform_attribution_label_addition_strategy": {Name: "pulumiAttributionLabelAdditionStrategy"},
		},
		ExtraConfig: map[string]*tfbridge.ConfigInfo{
			"skipRegionValidation":        boolean("PULUMI_GCP_SKIP_REGION_VALIDATION"),
			"disableGlobalProjectWarning": boolean("PULUMI_GCP_DISABLE_GLOBAL_PROJECT_WARNING"),
		},
		Resources:                      resources,
		EnableZeroDefaultSchemaVersion: true,
		EnableAccurateBridgePreview:    true,
		EnableRawStateDelta:            true,
	}
	info.SetAutonaming(255, "-")
	return info
}

func main() {
	tfbridge.Main("gcp", version, provider(), []byte(`{"name":"gcp","version":"`+version+`"}`))
}
