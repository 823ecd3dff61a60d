//! The server's methods.

use crate::catalogue::{self, complete, lasting, typed};
use crate::{asking, live, tasks, tools};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, CompleteRequestParams,
    CompleteResult, GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetTaskParams, GetTaskResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    RequestStateCodec, ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext, SubscriptionSink};
use rmcp::task_manager::TaskManager;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A server for tests keeps no secret.
const STATE_KEY: &[u8; 32] = b"the reference server's own state";

/// The server; clones are the same one.
#[derive(Clone)]
pub(crate) struct Reference {
    pub(crate) tasks: TaskManager,
    pub(crate) states: RequestStateCodec,
    listeners: Arc<Mutex<HashMap<u64, SubscriptionSink>>>,
    listeners_so_far: Arc<AtomicU64>,
}

impl Reference {
    pub(crate) fn new() -> Self {
        Self {
            tasks: TaskManager::new(),
            states: RequestStateCodec::try_new(STATE_KEY.as_slice()).expect("the key is long enough"),
            listeners: Arc::default(),
            listeners_so_far: Arc::default(),
        }
    }

    /// Those who listen for changes.
    pub(crate) fn listeners(&self) -> Vec<SubscriptionSink> {
        self.lock().values().cloned().collect()
    }

    async fn called(
        &self,
        request: &CallToolRequestParams,
        context: &Context,
    ) -> Result<CallToolResponse, ErrorData> {
        if tasks::TOOLS.contains(&request.name.as_ref()) {
            return tasks::call(self, request, context);
        }
        if let Some(answer) = asking::call(self, request, context) {
            return answer;
        }
        tools::call(self, request, context).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, SubscriptionSink>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Context = RequestContext<RoleServer>;

impl ServerHandler for Reference {
    fn get_info(&self) -> ServerConfig {
        let capabilities: ServerCapabilities =
            serde_json::from_value(catalogue::capabilities()).expect("they are capabilities");
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(
                "testkit-reference",
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions("Call the tools by name; each does what its description says.")
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let listed: ListToolsResult = typed(catalogue::tools()).ok()?;
        listed.tools.into_iter().find(|tool| tool.name == name)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        lasting(catalogue::tools())
    }

    async fn call_tool(
        &self,
        mut request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        for _ in 0..live::ROUNDS_MAX {
            let required = match self.called(&request, &context).await? {
                CallToolResponse::InputRequired(required) if live::is_legacy(&context) => required,
                other => return Ok(other),
            };
            request.request_state.clone_from(&required.request_state);
            match live::answered(required, &context).await {
                Ok(responses) => request.input_responses = Some(responses),
                Err(error) => return Ok(CallToolResult::error(tools::texts(&error.message)?).into()),
            }
        }
        Err(ErrorData::internal_error("too many questions", None))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        lasting(catalogue::prompts())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name == asking::PROMPT {
            return match asking::prompt(request.input_responses.as_ref())? {
                GetPromptResponse::InputRequired(required) if live::is_legacy(&context) => {
                    asking::prompt(Some(&live::answered(required, &context).await?))
                }
                other => Ok(other),
            };
        }
        let argument = |name: &str| {
            let value = request
                .arguments
                .as_ref()
                .and_then(|arguments| arguments.get(name));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let Some(messages) = catalogue::prompt(&request.name, argument) else {
            return Err(ErrorData::invalid_params(
                format!("no prompt `{}`", request.name),
                None,
            ));
        };
        Ok(complete::<GetPromptResult>(messages)?.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        lasting(catalogue::resources())
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        lasting(catalogue::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let Some(contents) = catalogue::resource(&request.uri) else {
            let data = json!({"uri": request.uri});
            return Err(ErrorData::resource_not_found("no such resource", Some(data)));
        };
        Ok(lasting::<ReadResourceResult>(contents)?.into())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        let all = ["paris", "park", "party"];
        let values: Vec<&str> = all
            .into_iter()
            .filter(|value| value.starts_with(request.argument.value.as_str()))
            .collect();
        complete(json!({"completion": {"values": values, "total": values.len(), "hasMore": false}}))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let key = self.listeners_so_far.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(key, context.sink().clone());
        context.cancelled().await;
        self.lock().remove(&key);
        Ok(())
    }

    async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
        self.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.tasks.cancel_task(&request.task_id)
    }
}
