//! Rows inside rows, for blocks without a name of their own.

use super::columns::{finite, is_one_f64, one_f64};
use super::{Context, Expand, Row};
use crate::arch::activations::Act;
use crate::arch::multipliers::Multipliers;
use crate::arch::name::Name;
use crate::arch::node::{Chain, Join, Merge, Node, Residual};
use crate::arch::shape::ShapeError;
use serde::{Deserialize, Serialize};

/// Several lists of rows on the same input, their outputs joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BranchesRow {
    pub branches: Vec<Vec<Row>>,
    #[serde(default = "concat")]
    pub join: Join,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

fn concat() -> Join {
    Join::Concat
}

impl Expand for BranchesRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Result<(), ShapeError> {
        let name = context.namer.row(&self.name);
        let branches = self
            .branches
            .iter()
            .enumerate()
            .map(|(index, rows)| expand_all(rows, &format!("{name}.{index}"), context, chain.fork()))
            .collect::<Result<Vec<_>, _>>()?;
        chain.branches(self.join, branches)
    }

    fn scale(&mut self, by: &Multipliers) {
        self.branches.iter_mut().flatten().for_each(|row| row.scale(by));
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

/// A shortcut around a list of rows: act(scale · body(x) + shortcut(x)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualRow {
    pub body: Vec<Row>,
    /// Rows of the shortcut; without any it is the identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<Row>,
    #[serde(default = "one_f64", skip_serializing_if = "is_one_f64")]
    pub scale: f64,
    /// Non-linearity after the sum; without this column the network's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    #[serde(default, skip_serializing_if = "Name::is_empty")]
    pub name: Name,
}

impl Expand for ResidualRow {
    fn expand(&self, context: &mut Context, chain: &mut Chain) -> Result<(), ShapeError> {
        finite(&[("scale", self.scale)])?;
        let name = context.namer.row(&self.name);
        let body = expand_all(&self.body, &format!("{name}.body"), context, chain.fork())?;
        let shortcut = expand_all(&self.shortcut, &format!("{name}.shortcut"), context, chain.fork())?;
        if body.shape != shortcut.shape {
            return Err(ShapeError::new(format!("the body gives {} but the shortcut {}", body.shape, shortcut.shape)));
        }
        let mut after = body.fork();
        after.act(self.act.unwrap_or(chain.style().act))?;
        let output = body.shape;
        let residual = Residual {
            shortcut: shortcut.nodes,
            after: after.nodes,
            ..Residual::new(body.nodes, Merge::Sum { scale: self.scale })
        };
        chain.push(Node::Residual(residual), output);
        Ok(())
    }

    fn scale(&mut self, by: &Multipliers) {
        self.body.iter_mut().chain(&mut self.shortcut).for_each(|row| row.scale(by));
    }

    fn name(&self) -> &Name {
        &self.name
    }
}

fn expand_all<'a>(
    rows: &[Row],
    prefix: &str,
    context: &mut Context,
    mut chain: Chain<'a>,
) -> Result<Chain<'a>, ShapeError> {
    for (index, row) in rows.iter().enumerate() {
        if let Row::Aux(_) = row {
            return Err(ShapeError::new("an auxiliary head is a row of the network, not part of another row"));
        }
        let before = context.namer.set_default(format!("{prefix}.{index}"));
        let expanded = row.expand(context, &mut chain);
        context.namer.set_default(before);
        expanded.map_err(|error| ShapeError::new(format!("in {prefix}, {} {}: {error}", row.op(), index + 1)))?;
    }
    Ok(chain)
}
